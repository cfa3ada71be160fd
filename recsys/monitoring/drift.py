"""Drift: whether customers, products, what is bought, and the scores still look as they did.

Features are computed by the same SQL at the champion's training and now, both from the newest snapshot, for a sample of
customers and the products that these bought: so nothing has to be kept from a training, and an upgrade of the feature
SQL is no drift.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.features import compute_tables
from recsys.features.tables import meanings_of
from recsys.monitoring.psi import psi, psi_of_counts
from recsys.monitoring.records import BREACH, FEATURE_DRIFT, OK, SCORE_DRIFT, WARN, Measurement, Status, at_most
from recsys.publication import PublicationRecord
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse

TABLES = ("user", "item")
MIX = "category_mix"


@dataclass(frozen=True)
class _Looks:
    """How sampled customers and their products look at a moment.

    Attributes:
        features: (n,) values of each feature, of customers or of products.
        lines: purchase lines by department.
    """

    features: Mapping[str, NDArray[Any]]
    lines: Mapping[str, int]


def last_bucket(settings: Settings, customers: int) -> int:
    """Return the bucket up to which customers make about the sample; the same customers every day."""
    share = min(1.0, settings.monitoring.sample / max(customers, 1))
    return max(int(c.BUCKETS * share) - 1, 0)


def feature_drift(
    settings: Settings, snapshot: Snapshot, trained: Mapping[str, tuple[str, datetime]]
) -> list[Measurement]:
    """Compare the features of customers and products now with those at each placement's training.

    Args:
        settings: have the limits and the size of the sample.
        snapshot: the newest.
        trained: of each placement with a champion, its version and the moment of its training.
    """
    moments = {as_of for _, as_of in trained.values() if snapshot.first_event < as_of <= snapshot.as_of}
    if not moments:
        return []
    with engine(settings) as connection, TemporaryDirectory(prefix="drift-") as work:
        snapshot.attach(connection)
        customers = _sample(connection, last_bucket(settings, snapshot.user_count))
        now = _looks_at(settings, connection, snapshot.as_of, customers, Path(work))
        then = {as_of: _looks_at(settings, connection, as_of, customers, Path(work)) for as_of in moments}
    found = []
    for placement, (version, as_of) in trained.items():
        if as_of in then:
            at = _Trained(placement, version, as_of)
            found += [
                _feature(settings, at, name, then[as_of].features[name], now.features[name]) for name in now.features
            ]
            found.append(_mix(settings, at, then[as_of].lines, now.lines))
    return found


def _sample(connection: duckdb.DuckDBPyConnection, last: int) -> NDArray[np.int32]:
    query = "select user_idx from users where bucket between 0 and $last order by user_idx"
    found: NDArray[np.int32] = connection.execute(query, {"last": last}).fetchnumpy()[c.USER_IDX]
    return np.asarray(found, np.int32)


def _looks_at(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    moment: datetime,
    customers: NDArray[np.int32],
    work: Path,
) -> _Looks:
    lay_cut(connection, moment, customers)
    compute_tables(connection, work, TABLES)
    features: dict[str, NDArray[Any]] = {}
    for table in TABLES:
        names = meanings_of(read_sql("features", f"{table}.sql"))
        chosen = ", ".join(f"cast({name} as double) as {name}" for name in names)
        path = {"path": str(work / f"{table}.parquet")}
        found = connection.execute(f"select {chosen} from read_parquet($path)", path).fetchnumpy()
        features |= {name: np.ma.filled(values, np.nan) for name, values in found.items()}
    days = {"days": settings.monitoring.active_days}
    return _Looks(features, dict(connection.execute(read_sql("monitoring", "category_mix.sql"), days).fetchall()))


@dataclass(frozen=True)
class _Trained:
    """Which version serves a placement, and the moment that it was trained as of."""

    placement: str
    version: str
    as_of: datetime

    def told(self, what: str) -> str:
        return f"{what} now against the training of version {self.version} as of {self.as_of:%Y-%m-%d}"

    def measured(
        self, settings: Settings, name: str, value: float | None, why_not: str, details: Mapping[str, Any]
    ) -> Measurement:
        do = "Retrain (recsys run, or the DAG of training)."
        status, message = _judged(settings, self.told(name), value, why_not, do)
        return Measurement(
            name=FEATURE_DRIFT,
            placement=self.placement,
            part=name,
            value=value,
            limit=None if why_not else settings.monitoring.psi_breach,
            status=status,
            message=message,
            details={c.MODEL_VERSION: self.version, c.AS_OF: self.as_of.isoformat(), **details},
        )


def _feature(settings: Settings, at: _Trained, name: str, then: NDArray[Any], now: NDArray[Any]) -> Measurement:
    value, why_not = _compared(settings, then, now)
    if name in settings.monitoring.growing_features:
        why_not = "it grows with the history (RECSYS_MONITORING__GROWING_FEATURES)"
    return at.measured(settings, name, value, why_not, {"then": len(then), "now": len(now), **_quartiles(then, now)})


def _mix(settings: Settings, at: _Trained, then: Mapping[str, int], now: Mapping[str, int]) -> Measurement:
    """Compare what departments sampled customers bought from."""
    departments = sorted({*then, *now})
    counts = [np.array([lines.get(name, 0) for name in departments], np.int64) for lines in (then, now)]
    fewest = int(min(one.sum() for one in counts))
    value = psi_of_counts(counts[0], counts[1]) if fewest else None
    return at.measured(settings, MIX, value, _too_few(settings, fewest), {"then": dict(then), "now": dict(now)})


def score_drift(
    warehouse: Warehouse, settings: Settings, live: PublicationRecord, before: PublicationRecord | None
) -> list[Measurement]:
    """Compare the scores of the live lists with those of the publication before; nothing if there is none stored."""
    if before is None:
        return []
    last = last_bucket(settings, max(live.user_count, before.user_count))
    now, then = (_scores(warehouse, one.publication_id, last) for one in (live, before))
    value, why_not = _compared(settings, then, now)
    if (live.model_name, live.model_version) != (before.model_name, before.model_version):
        why_not = f"another version made the lists before ({before.model_version}), whose scores mean something else"
    told = f"Scores of {live.publication_id} against {before.publication_id}"
    do = "Compare the two lists (recsys recommend), and what the shop delivered between; recsys rollback returns."
    status, message = _judged(settings, told, value, why_not, do)
    return [
        Measurement(
            name=SCORE_DRIFT,
            placement=live.placement,
            value=value,
            limit=None if why_not else settings.monitoring.psi_breach,
            status=status,
            message=message,
            details={
                c.MODEL_VERSION: live.model_version,
                c.PUBLICATION_ID: live.publication_id,
                "before": before.publication_id,
            }
            | _quartiles(then, now),
        )
    ]


def _scores(warehouse: Warehouse, publication_id: str, last: int) -> NDArray[np.float64]:
    names = {"publication_id": publication_id, "last_bucket": last}
    with warehouse.read_arrow(read_sql("monitoring", "scores.sql"), names) as reader:
        return np.asarray(reader.read_all()[c.SCORE].to_numpy(), float)


def _compared(settings: Settings, then: NDArray[Any], now: NDArray[Any]) -> tuple[float | None, str]:
    """Return the index, and why it is not judged (empty: it is)."""
    fewest = min(len(then), len(now))
    return psi(then, now) if fewest else None, _too_few(settings, fewest)


def _too_few(settings: Settings, fewest: int) -> str:
    least = settings.monitoring.min_sample
    return f"only {fewest} values, fewer than {least} (RECSYS_MONITORING__MIN_SAMPLE)" if fewest < least else ""


def _judged(settings: Settings, told: str, value: float | None, why_not: str, do: str) -> tuple[Status, str]:
    limits = settings.monitoring
    shown = "can't be compared" if value is None else f"moved by PSI {value:.3f}"
    if why_not or value is None:
        return OK, f"{told}: {shown}. Not judged: {why_not}."
    status = at_most(value, warn=limits.psi_warn, breach=limits.psi_breach)
    told = f"{told}: {shown}."
    if status == BREACH:
        return status, f"{told} Above {limits.psi_breach:g} is a breach. {do}"
    return status, f"{told} Above {limits.psi_warn:g}: keep an eye on it." if status == WARN else told


def _quartiles(then: NDArray[Any], now: NDArray[Any]) -> dict[str, list[float]]:
    found = {}
    for name, values in (("quartiles_then", then), ("quartiles_now", now)):
        known = values[~np.isnan(values)]
        if len(known):
            found[name] = [float(value) for value in np.quantile(known, [0.25, 0.5, 0.75])]
    return found
