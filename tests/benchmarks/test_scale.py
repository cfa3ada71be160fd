"""The arithmetic of the benchmark at scale."""

import pytest

from tests.benchmarks.scale import exponents, merged, rows_of


def stage(name: str, cpu: float, peak: float = 1.0) -> dict[str, object]:
    return {
        "stage": name,
        "seconds": cpu,
        "cpu_seconds": cpu,
        "rss_mib": peak,
        "pss_mib": peak,
        "disk_mib": 0.0,
        "rows": 10,
    }


def test_shards_are_one_stage_with_the_highest_peak() -> None:
    found = merged([stage("scoring 0", 2, 5), stage("scoring 2048", 3, 7), stage("gate", 1)])
    assert list(found) == ["scoring", "gate"]
    assert (found["scoring"]["cpu_seconds"], found["scoring"]["rss_mib"], found["scoring"]["rows"]) == (5, 7, 20)


def test_growth_is_told_by_its_exponent() -> None:
    runs = [
        {"users": 1000, "stages": [stage("square", 16), stage("linear", 20)]},
        {"users": 100, "stages": [stage("square", 0.16), stage("linear", 2), stage("gone", 1)]},
    ]
    found = {name: grown for name, _, grown in exponents(runs)}
    assert found == {"square": [pytest.approx(2)], "linear": [pytest.approx(1)]}


def test_rows_are_the_stages_own_where_it_tells_them() -> None:
    assert rows_of("scoring 0", {"rows": 40}, 1000) == 40
    assert rows_of("features", {"cuts": 5}, 1000) == 1000
    assert rows_of("snapshot", {"rows": {"events": 7}}, 7) == 7
    assert rows_of("gate", {}, 1000) == 0
