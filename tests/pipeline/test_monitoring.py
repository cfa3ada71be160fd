"""Monitoring over what the chain has made: in the warehouse, in MLflow and in the file, with MLflow there or away."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recsys import pipeline, registry
from recsys.errors import BreachError
from recsys.monitoring import latest_figures, measured
from recsys.settings import MonitoringSettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, Ran
from tests.support.planted import NOW, Event, add_events
from tests.support.warehouse import item_id, user_id

DAY = timedelta(days=1)
AWAY = "http://127.0.0.1:9"


@pytest.fixture
def settings(ran: Ran, tmp_path: Path) -> Settings:
    """A copy of the home in which the chain ran, with drift judged although the shop is small."""
    home = tmp_path / "home"
    shutil.copytree(ran.settings.resolved_home, home)
    limits = MonitoringSettings(min_sample=50)
    return ran.settings.model_copy(update={"home": home, "monitoring": limits})


def away(settings: Settings) -> Settings:
    return settings.model_copy(update={"tracking_uri": AWAY})


def logged_runs(settings: Settings) -> list[object]:
    with registry.connected(settings) as client:
        experiment = client.get_experiment_by_name(f"{settings.namespace}_monitoring")
        return list(client.search_runs([experiment.experiment_id])) if experiment else []


def test_a_quiet_shop_passes_and_is_recorded_once(settings: Settings) -> None:
    done = pipeline.monitor(settings, now=NOW, run_id="r1")
    assert done["breaches"] == []
    assert pipeline.check_measured(settings, measured=done)["measurements"] == done["measurements"] > 40
    latest = latest_figures(settings)
    names = {(one["placement"], one["name"]) for one in latest["measurements"]}
    for placement in PLACEMENTS:
        for name in ("model_age_days", "feature_drift", "unpublished_hours", "coverage_share", "fallback_share"):
            assert (placement, name) in names
    again = pipeline.monitor(settings, now=NOW, run_id="r1")
    assert again["mlflow"] == []
    [run] = logged_runs(settings)
    assert [run.info.run_id] == done["mlflow"]  # type: ignore[attr-defined]
    figures, tags = run.data.metrics, run.data.tags  # type: ignore[attr-defined]
    assert (figures["for_you.coverage_share"], figures["count_breach"]) == (1, 0)
    assert figures["for_you.feature_drift.user_basket_size"] == 0
    assert "0 breaches" in tags["mlflow.note.content"]
    with open_warehouse(settings, purpose="test") as warehouse:
        assert len(measured(warehouse)) == done["measurements"]
    assert pipeline.retraining_needed(away(settings), now=NOW)["needed"] is False


def test_mlflow_away_loses_nothing_and_the_next_look_makes_up_for_it(settings: Settings) -> None:
    done = pipeline.monitor(away(settings), now=NOW, run_id="r1")
    assert done["mlflow"] is None
    assert "127.0.0.1:9" in done["mlflow_error"]
    assert [one["label"] for one in done["warnings"]] == [f"{name} model_age_days" for name in sorted(PLACEMENTS)]
    assert done["breaches"] == []
    with open_warehouse(settings, purpose="test") as warehouse:
        assert len(measured(warehouse)) == done["measurements"]
    assert latest_figures(settings)["run_id"] == "r1"
    back = pipeline.monitor(settings, now=NOW + DAY, run_id="r2")
    assert len(back["mlflow"]) == 2
    names = sorted(run.info.run_name for run in logged_runs(settings))  # type: ignore[attr-defined]
    assert names == ["2025-01-02 06:00 r1", "2025-01-03 06:00 r2"]


def test_every_breach_is_listed_with_what_to_do(settings: Settings) -> None:
    """The data is old, the newest week is empty, and most of who bought lately came after the lists."""
    limits = MonitoringSettings(max_data_age_hours=1, max_unpublished_hours=24)
    settings = settings.model_copy(update={"monitoring": limits})
    with open_warehouse(settings, purpose="test") as warehouse:
        add_events(warehouse, [Event(user_id(0), item_id(1), NOW + 20 * DAY)], first=90_000)
    done = pipeline.monitor(settings, now=NOW + 22 * DAY, run_id="r1")
    with pytest.raises(BreachError) as caught:
        pipeline.check_measured(settings, measured=done)
    told = str(caught.value)
    assert told.startswith(f"Monitoring found {len(done['breaches'])} breaches at 2025-01-24T06:00:00 UTC:\n  - ")
    for part in (
        "data_age_hours: The newest event is of 2025-01-22",
        "event_volume purchase: 0.1 events purchase a day in the last 7 days",
        "for_you unpublished_hours: Lists are as of 2024-12-31",
        "discover unpublished_hours:",
        "recsys load",
        "recsys publications",
    ):
        assert part in told
    assert len(told.splitlines()) == len(done["breaches"]) + 1


def test_published_lists_are_measured_when_their_days_have_passed(ran: Ran, settings: Settings) -> None:
    pipeline.monitor(settings, now=NOW, run_id="r1")
    horizon = timedelta(days=settings.ranker.horizon_days)
    bought = [Event(user_id(n), item_id(n % 40), NOW + n % 20 * DAY) for n in range(100)]
    with open_warehouse(settings, purpose="test") as warehouse:
        add_events(warehouse, [*bought, Event(None, item_id(1), NOW + horizon)], first=90_000)
    later = NOW + horizon + DAY
    pipeline.monitor(settings, now=later, run_id="r2")
    found = {
        one["placement"]: one for one in latest_figures(settings)["measurements"] if one["name"] == "realised_ndcg"
    }
    assert set(found) == set(PLACEMENTS)
    for placement, one in found.items():
        expected = one["details"]["expected"]
        assert expected["ndcg"] == pytest.approx(ran.result["metrics"][placement][expected["model"]], abs=1e-5)
        assert expected["low"] <= expected["ndcg"] <= expected["high"]
        direct = pipeline.measure_published(settings, placement=placement, now=later)
        assert one["value"] == pytest.approx(direct["metrics"]["ndcg@10"])
        assert one["part"] == direct["publication_id"]
    # The figures stand in the file the next day too, though they are measured once.
    pipeline.monitor(settings, now=later + DAY, run_id="r3")
    still = [one for one in latest_figures(settings)["measurements"] if one["name"] == "realised_ndcg"]
    assert {datetime.fromisoformat(one["measured_at"]) for one in still} == {later}
    assert not list((settings.resolved_home / "monitoring" / "lists").glob("*"))
