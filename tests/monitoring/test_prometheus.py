"""The text that Prometheus scrapes, read back by the rules of its format."""

import re
from datetime import UTC, datetime

from recsys.monitoring import prometheus_text
from recsys.monitoring.prometheus import HELP

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def measured(name: str, value: float | None, **more: object) -> dict[str, object]:
    row = {"name": name, "value": value, "placement": None, "part": None, "limit": None, "status": "ok"}
    return {**row, **more}


def parse(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the samples; fails on what the format doesn't allow."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    typed: set[str] = set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert kind == "gauge"
            assert name not in typed  # all samples of a name stand together
            typed.add(name)
        elif not line.startswith("# HELP "):
            match = SAMPLE.match(line)
            assert match is not None, line
            name, labels, value = match.groups()
            assert name in typed
            inner = (labels or "{}")[1:-1]
            assert LABEL.sub("", inner) == "", inner
            pairs = frozenset((key, unescaped(text)) for key, text in LABEL.findall(inner))
            assert (name, pairs) not in found
            found[name, pairs] = float(value)
    return found


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), text)


def labels(**pairs: str) -> frozenset[tuple[str, str]]:
    return frozenset(pairs.items())


def test_figures_statuses_limits_and_the_moment() -> None:
    rows = [
        measured("data_age_hours", 12.5),
        measured("coverage_share", 0.5, placement="for_you", limit=0.8, status="breach"),
        measured("coverage_share", 1.0, placement="discover", limit=0.8),
        measured("score_drift", None, placement="for_you", status="warn"),
    ]
    text = prometheus_text({"measured_at": "2025-01-02T06:00:00", "measurements": rows}, "acme")
    found = parse(text)
    assert found["acme_data_age_hours", labels()] == 12.5
    assert found["acme_coverage_share", labels(placement="for_you")] == 0.5
    assert found["acme_measurement_limit", labels(name="coverage_share", placement="discover")] == 0.8
    assert found["acme_measurement_status", labels(name="coverage_share", placement="for_you")] == 2
    assert found["acme_measurement_status", labels(name="score_drift", placement="for_you")] == 1
    assert found["acme_measurement_status", labels(name="data_age_hours")] == 0
    moment = datetime(2025, 1, 2, 6, tzinfo=UTC).timestamp()
    assert found["acme_measured_timestamp_seconds", labels()] == moment
    assert not any(name == "acme_score_drift" for name, _ in found)  # nothing could be measured
    assert "# HELP acme_data_age_hours Age of the newest event.\n" in text


def test_what_stands_in_a_label_is_escaped() -> None:
    part = 'back\\slash "quoted"\nand é,}='
    text = prometheus_text({"measured_at": None, "measurements": [measured("event_volume", 1.0, part=part)]}, "recsys")
    found = parse(text)
    assert found["recsys_event_volume", labels(part=part)] == 1
    assert found["recsys_measurement_status", labels(name="event_volume", part=part)] == 0


def test_before_anything_was_measured_there_is_no_gauge() -> None:
    assert prometheus_text({"measured_at": None, "measurements": []}, "recsys") == ""


def test_every_figure_has_a_meaning() -> None:
    from recsys.monitoring import data, drift, lists, realised, records

    named = {data.AGE, data.DELAY, data.VOLUME, data.REJECTED, data.MISSING}
    named |= {lists.AGE, lists.UNPUBLISHED, lists.COVERAGE, lists.FALLBACK}
    named |= {records.MODEL_AGE, records.FEATURE_DRIFT, records.SCORE_DRIFT, records.REALISED_NDCG}
    assert drift.FEATURE_DRIFT in named and realised.REALISED_NDCG in named
    assert set(HELP) == named
