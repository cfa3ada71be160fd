"""The newest measurements in Prometheus' text format, version 0.0.4.

The client library keeps a registry of what a process counts; here are figures out of a file, for which these few
lines are enough.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from recsys.monitoring.records import RANKED

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
HELP: Final = {
    "data_age_hours": "Age of the newest event.",
    "data_delay_hours": "Hours that the newest event is older than usual.",
    "event_volume": "Events a day of the newest days against those of the days before, by event type.",
    "rejected_share": "Share of rows that were put into quarantine.",
    "missing_share": "Share of a column that is missing.",
    "feature_drift": "Population stability index of a feature, now against the champion's training.",
    "score_drift": "Population stability index of scores, live against the publication before.",
    "publication_age_hours": "Hours since the lists went live.",
    "unpublished_hours": "Hours for which newer events have gone unpublished.",
    "coverage_share": "Share of customers with a history who have a list.",
    "fallback_share": "Share of active customers who get default lists only.",
    "realised_ndcg": "NDCG@10 of what was published, by what customers bought afterwards.",
    "model_age_days": "Days of the shop's data since the champion's training.",
}
_STATUS: Final = "measurement_status"
_LIMIT: Final = "measurement_limit"


def prometheus_text(latest: Mapping[str, Any], namespace: str) -> str:
    """Return the newest measurements as gauges.

    ``<namespace>_<name>{placement,part}`` are the figures, ``<namespace>_measurement_status`` is 0 for ok, 1 for a
    warning and 2 for a breach, ``<namespace>_measurement_limit`` what was judged by, and
    ``<namespace>_measured_timestamp_seconds`` tells when.

    Args:
        latest: what :func:`recsys.monitoring.latest_figures` returns.
        namespace: prefix of the names.
    """
    rows: list[Mapping[str, Any]] = latest["measurements"]
    names = sorted({row["name"] for row in rows})
    lines: list[str] = []
    for name in names:
        values = [(_labels(row), row["value"]) for row in rows if row["name"] == name and row["value"] is not None]
        lines += _gauge(f"{namespace}_{name}", HELP.get(name, "Measured by monitoring."), values)
    statuses = [({"name": row["name"], **_labels(row)}, float(RANKED.index(row["status"]))) for row in rows]
    lines += _gauge(f"{namespace}_{_STATUS}", "0 ok, 1 warning, 2 breach.", statuses)
    limits = [({"name": row["name"], **_labels(row)}, row["limit"]) for row in rows if row["limit"] is not None]
    lines += _gauge(f"{namespace}_{_LIMIT}", "What a measurement was judged by.", limits)
    if latest["measured_at"] is not None:
        at = datetime.fromisoformat(latest["measured_at"]).replace(tzinfo=UTC).timestamp()
        lines += _gauge(f"{namespace}_measured_timestamp_seconds", "When monitoring last measured.", [({}, at)])
    return "".join(f"{line}\n" for line in lines)


def _labels(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: row[name] for name in ("placement", "part") if row[name] is not None}


def _gauge(name: str, meaning: str, values: Iterable[tuple[Mapping[str, str], float]]) -> list[str]:
    samples = [f"{name}{_braced(labels)} {float(value)!r}" for labels, value in values]
    return [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", *samples] if samples else []


def _braced(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
