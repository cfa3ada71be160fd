"""The stages between decisions: measure, check, and ask whether a training is needed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from recsys import columns as c
from recsys import ledger, monitoring, publication, registry
from recsys.assets import read_sql
from recsys.errors import BreachError, NotFoundError, RegistryError
from recsys.evaluation.roles import HEADLINE, RANKER, SHAPED
from recsys.ledger import Champion
from recsys.monitoring import OK, WARN, Measurement, Stamped, data, drift, lists, realised
from recsys.monitoring.records import MODEL_AGE, REALISED_NDCG
from recsys.monitoring.retraining import trained_as_of
from recsys.pipeline.training import take_snapshot
from recsys.publication import PublicationRecord
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse, migrate, open_warehouse

Result = dict[str, Any]
YEARS = timedelta(days=4000)
BEFORE = {  # what is compared with earlier looks, and how far back
    data.AGE: timedelta(days=90),
    data.MISSING: timedelta(days=90),
    MODEL_AGE: YEARS,
    REALISED_NDCG: YEARS,
}
LOGGED = timedelta(days=14)  # what MLflow missed for so long is logged when it is back


def monitor(settings: Settings, *, now: datetime, run_id: str) -> Result:
    """Measure the shop's data, drift, what is live and what it came to; record it, and judge it.

    The same run and moment give the same records again. MLflow being away costs its copy alone, which the next
    monitoring makes up for.

    Args:
        settings: in force.
        now: the clock, naive UTC, read by the caller.
        run_id: names the look.

    Returns:
        ``measured_at``, ``run_id``, ``measurements`` (their number), ``breaches`` and ``warnings`` (label and
        message each), and ``mlflow`` (the runs logged, or None) with ``mlflow_error``.
    """
    with open_warehouse(settings, purpose="look at earlier measurements") as warehouse:
        migrate(warehouse)
        kept = monitoring.batch_of(warehouse, run_id=run_id, measured_at=now)
    found = [] if kept else _measure(settings, now)
    with open_warehouse(settings, purpose="record measurements") as warehouse:
        records = kept or monitoring.record(warehouse, found, run_id=run_id, measured_at=now)
        recent = monitoring.measured(warehouse, since=now - LOGGED)
        former = monitoring.measured(warehouse, name=REALISED_NDCG)
    realised.forget(settings, former)
    monitoring.write_latest(settings, [*records, *_still_told(records, former)], run_id=run_id, measured_at=now)
    logged, why_not = _log(settings, recent)
    told = {
        status: [_told(one.measurement) for one in records if one.measurement.status == status]
        for status in (monitoring.BREACH, monitoring.WARN)
    }
    return {
        "measured_at": now.isoformat(),
        "run_id": run_id,
        "measurements": len(records),
        "breaches": told[monitoring.BREACH],
        "warnings": told[monitoring.WARN],
        "mlflow": logged,
        "mlflow_error": why_not,
    }


def check_measured(settings: Settings, *, measured: Mapping[str, Any]) -> Result:
    """Raise if monitoring found a breach.

    Args:
        settings: not used; stages have it first.
        measured: what :func:`monitor` returned.

    Raises:
        BreachError: listing every breach and what to do.
    """
    breaches = measured["breaches"]
    if breaches:
        lines = "\n".join(f"  - {one['label']}: {one['message']}" for one in breaches)
        raise BreachError(f"Monitoring found {len(breaches)} breaches at {measured['measured_at']} UTC:\n{lines}")
    return {"measurements": measured["measurements"], "warnings": measured["warnings"]}


def _measure(settings: Settings, now: datetime) -> list[Measurement]:
    taken = take_snapshot(settings, as_of="latest", now=now)
    snapshot = Snapshot.open(taken["snapshot"])
    with open_warehouse(settings, purpose="measure what is live") as warehouse:
        before = {name: monitoring.measured(warehouse, name=name, since=now - kept) for name, kept in BEFORE.items()}
        champions = {name: ledger.champion(warehouse, name) for name in settings.placements}
        records = publication.list_publications(warehouse)
        load = warehouse.query(read_sql("monitoring", "load.sql"))[0]
        live = [
            one
            for placement in settings.placements
            for one in _live(warehouse, settings, placement, champions[placement], snapshot.as_of, now)
        ]
        realised.keep_samples(warehouse, settings, records, before[REALISED_NDCG])
    trained, ages = _trained(settings, champions, before[MODEL_AGE], snapshot.as_of)
    return [
        *data.freshness(settings, snapshot, now, before[data.AGE]),
        *data.volume(settings, snapshot),
        data.rejected(settings, "load", load["rejected"], load["held"]),
        data.rejected(settings, "snapshot", taken["rejected"], taken["rows"][c.EVENTS]),
        *data.missing(settings, snapshot, before[data.MISSING]),
        *ages,
        *drift.feature_drift(settings, snapshot, trained),
        *live,
        *_realised(settings, snapshot, records, before[REALISED_NDCG]),
    ]


def _live(
    warehouse: Warehouse,
    settings: Settings,
    placement: str,
    champion: Champion | None,
    newest: datetime,
    now: datetime,
) -> list[Measurement]:
    live = publication.live_publication(warehouse, placement)
    if live is None:
        return lists.nothing_live(settings, placement, champion, now)
    before = live.previous_publication_id and publication.find_publication(warehouse, live.previous_publication_id)
    stored = before if before and before.status in realised.STORED else None
    return [
        *lists.ages(settings, live, newest, now),
        *lists.reach(warehouse, settings, placement, newest),
        *drift.score_drift(warehouse, settings, live, stored),
    ]


def _trained(
    settings: Settings, champions: Mapping[str, Champion | None], before: list[Stamped], newest: datetime
) -> tuple[dict[str, tuple[str, datetime]], list[Measurement]]:
    """Return of each placement with a champion its version and the moment of its training, and how old they are."""
    trained: dict[str, tuple[str, datetime]] = {}
    found = []
    for placement, champion in champions.items():
        if champion is None:
            continue
        told = f"Version {champion.model_version} of {champion.model_name} "
        named = {c.MODEL_NAME: champion.model_name, c.MODEL_VERSION: champion.model_version}
        try:
            as_of = trained_as_of(settings, champion, before)
        except (RegistryError, NotFoundError) as error:
            told += f"was trained at a moment that can't be told: {error}"
            found.append(
                Measurement(name=MODEL_AGE, placement=placement, value=None, status=WARN, message=told, details=named)
            )
            continue
        trained[placement] = (champion.model_version, as_of)
        days = max((newest - as_of) / timedelta(days=1), 0.0)
        limit = settings.retraining.max_age_days
        is_old = days > limit
        told += f"was trained as of {as_of:%Y-%m-%d}, {days:.1f} days before the newest event."
        told += " The next scheduled training is needed; a pending version may wait for a decision." if is_old else ""
        found.append(
            Measurement(
                name=MODEL_AGE,
                placement=placement,
                value=days,
                limit=limit,
                status=WARN if is_old else OK,
                message=told,
                details={**named, c.AS_OF: as_of.isoformat()},
            )
        )
    return trained, found


def _realised(
    settings: Settings, later: Snapshot, records: list[PublicationRecord], done: list[Stamped]
) -> list[Measurement]:
    found = []
    for placement in settings.placements:
        own = [one for one in records if one.placement == placement]
        for one in realised.due(settings, own, later.as_of, done):
            found.append(realised.realised(settings, later, one, _expected(settings, one)))
    return found


def _expected(settings: Settings, one: PublicationRecord) -> dict[str, Any] | None:
    """Return what a version's lists had on the hold-out of its training, as they are shown; None if unknown."""
    try:
        evaluation = registry.evaluation_of(settings, one.model_name, one.model_version)
    except (RegistryError, NotFoundError):
        # MLflow is a copy here: without it the figure stands alone, and its message says so.
        return None
    figures = (evaluation or {}).get("placements", {}).get(one.placement, {})
    model = SHAPED if SHAPED in figures.get("models", {}) else RANKER
    ndcg = figures.get("models", {}).get(model, {}).get(HEADLINE)
    if ndcg is None:
        return None
    low, high = figures.get("intervals", {}).get(model, {}).get(HEADLINE) or (None, None)
    return {"ndcg": ndcg, "low": low, "high": high, "model": model}


def _still_told(records: list[Stamped], former: list[Stamped]) -> list[Stamped]:
    """Return the newest realised figure of each placement that has none among the records."""
    present = {one.measurement.placement for one in records if one.measurement.name == REALISED_NDCG}
    newest = {one.measurement.placement: one for one in former}
    return [one for placement, one in newest.items() if placement not in present]


def _told(one: Measurement) -> dict[str, str]:
    return {"label": one.label, "message": one.message}


def _log(settings: Settings, recent: list[Stamped]) -> tuple[list[str] | None, str | None]:
    """Log what MLflow lacks of the last days; say why not if it can't be reached."""
    batches: dict[tuple[datetime, str], list[Stamped]] = {}
    for one in recent:
        batches.setdefault((one.measured_at, one.run_id), []).append(one)
    try:
        return registry.log_monitoring(settings, [_logged(*key, batch) for key, batch in batches.items()]), None
    except RegistryError as error:
        return None, str(error)


def _logged(measured_at: datetime, run_id: str, batch: list[Stamped]) -> registry.MonitoringRecord:
    counted = {
        status: sum(one.measurement.status == status for one in batch)
        for status in (monitoring.OK, monitoring.WARN, monitoring.BREACH)
    }
    metrics = {
        ".".join(filter(None, (one.measurement.placement, one.measurement.name, one.measurement.part))): value
        for one in batch
        if (value := one.measurement.value) is not None
    }
    return registry.MonitoringRecord(
        key=f"{measured_at.isoformat()} {run_id}",
        run_name=f"{measured_at:%Y-%m-%d %H:%M} {run_id}",
        measured_at=measured_at,
        metrics=metrics | {f"count_{status}": float(count) for status, count in counted.items()},
        document=[one.as_json() for one in batch],
        tags={"status": next(s for s in reversed(monitoring.RANKED) if counted[s] or s == monitoring.OK)},
        note="\n".join(
            [f"{len(batch)} figures, {counted['breach']} breaches, {counted['warn']} warnings.", ""]
            + [
                f"- **{one.measurement.status}** {one.measurement.label}: {one.measurement.message}"
                for one in batch
                if one.measurement.status != monitoring.OK
            ]
        ),
    )
