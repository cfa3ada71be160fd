"""Whether a scheduled training is worth it, and since when a champion has learned nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recsys import columns as c
from recsys import ledger, registry
from recsys.assets import read_sql
from recsys.ledger import Champion
from recsys.monitoring.records import BREACH, FEATURE_DRIFT, MODEL_AGE, REALISED_NDCG, SCORE_DRIFT, Stamped
from recsys.monitoring.storing import measured, newest_batch
from recsys.settings import Settings
from recsys.warehouse import Warehouse, migrate, open_warehouse

Result = dict[str, Any]
BAD = (FEATURE_DRIFT, SCORE_DRIFT, REALISED_NDCG)  # breaches of these ask for a training


def retraining_needed(settings: Settings, *, now: datetime) -> Result:
    """Say whether a training is needed, and why, or why not.

    It is where a placement has no champion, enough new events came since the champion's snapshot, the champion lies
    too far behind the shop's newest event, or the newest monitoring found a breach of drift or quality with it. A
    shop whose data stands still needs none, however old the champion is by the clock.

    Args:
        settings: have the limits.
        now: the clock, naive UTC, read by the caller.

    Returns:
        ``needed``, ``reasons`` (sentences with figures; if none is needed, why not of each placement).

    Raises:
        RegistryError: if MLflow can't be reached, and when the champion was trained isn't known otherwise.
    """
    with open_warehouse(settings, purpose="ask whether a training is needed") as warehouse:
        migrate(warehouse)
        champions = {name: ledger.champion(warehouse, name) for name in settings.placements}
        ages = measured(warehouse, name=MODEL_AGE)
        newest = newest_batch(warehouse)
    moments = {name: trained_as_of(settings, one, ages) for name, one in champions.items() if one is not None}
    with open_warehouse(settings, purpose="count new events") as warehouse:
        since = {moment: _events_since(warehouse, settings, moment, now) for moment in set(moments.values())}
    needed: list[str] = []
    idle: list[str] = []
    for placement, champion in champions.items():
        if champion is None:
            needed.append(f"{placement}: there is no champion yet.")
            continue
        looked = _Looked(champion, moments[placement], since[moments[placement]])
        why = [*looked.new_events(settings), *looked.age(settings), *looked.breaches(settings, newest)]
        needed += [f"{placement}: {one}" for one in why]
        idle += [] if why else [f"{placement}: {looked.quiet(settings)}"]
    return {"needed": bool(needed), "reasons": needed or idle}


def trained_as_of(settings: Settings, champion: Champion, ages: list[Stamped]) -> datetime:
    """Return the moment of the snapshot that a champion learned from.

    It never changes, so what monitoring noted before is taken; only else MLflow is asked.

    Raises:
        RegistryError: if MLflow can't be reached.
        NotFoundError: if it doesn't know the version.
    """
    named = {c.MODEL_NAME: champion.model_name, c.MODEL_VERSION: champion.model_version}
    for one in reversed(ages):
        details = one.measurement.details
        if c.AS_OF in details and all(details.get(name) == value for name, value in named.items()):
            return datetime.fromisoformat(details[c.AS_OF])
    return registry.trained_as_of(settings, champion.model_name, champion.model_version)


def _events_since(warehouse: Warehouse, settings: Settings, moment: datetime, now: datetime) -> Mapping[str, Any]:
    latest = now + timedelta(hours=settings.max_future_hours)
    return warehouse.query(read_sql("monitoring", "events_since.sql"), {"as_of": moment, "latest_allowed": latest})[0]


@dataclass(frozen=True)
class _Looked:
    """A champion, the moment it was trained as of, and what has happened since."""

    champion: Champion
    as_of: datetime
    since: Mapping[str, Any]

    @property
    def share(self) -> float:
        return float(self.since["new_events"] / self.since["all_events"]) if self.since["all_events"] else 0.0

    @property
    def behind(self) -> float:
        newest = self.since["newest_at"]
        return max((newest - self.as_of) / timedelta(days=1), 0.0) if newest else 0.0

    @property
    def _trained(self) -> str:
        return f"version {self.champion.model_version} was trained as of {self.as_of:%Y-%m-%d %H:%M}"

    def new_events(self, settings: Settings) -> list[str]:
        new, limits = self.since["new_events"], settings.retraining
        is_enough = new >= limits.min_new_events and self.share >= limits.min_new_share and new > 0
        return [f"{self._counted(settings)} since {self._trained}."] if is_enough else []

    def age(self, settings: Settings) -> list[str]:
        most = settings.retraining.max_age_days
        if self.behind <= most:
            return []
        return [f"{self._trained}, {self.behind:.0f} days before the newest event; {most:g} are allowed."]

    def breaches(self, settings: Settings, newest: list[Stamped]) -> list[str]:
        if not settings.retraining.on_drift:
            return []
        return [
            f"monitoring found on {one.measured_at:%Y-%m-%d}: {one.measurement.message}"
            for one in newest
            if one.measurement.name in BAD
            and one.measurement.status == BREACH
            and one.measurement.placement == self.champion.placement
            and one.measurement.details.get(c.MODEL_VERSION) == self.champion.model_version
        ]

    def quiet(self, settings: Settings) -> str:
        return f"{self._trained}; {self._counted(settings)} since; no drift was found."

    def _counted(self, settings: Settings) -> str:
        limits = settings.retraining
        return (
            f"{self.since['new_events']:,} new events ({self.share:.1%}; "
            f"{limits.min_new_events:,} and {limits.min_new_share:.1%} are asked for)"
        )
