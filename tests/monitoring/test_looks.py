"""A whole look at a small shop, in either engine, while MLflow is away."""

from datetime import datetime, timedelta

from recsys import pipeline
from recsys.monitoring import latest_figures, measured
from recsys.settings import MonitoringSettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.monitored import put_live, trained
from tests.support.publications import ITEMS, NOW, approve
from tests.support.warehouse import item_id, user_id, write_small_shop

AWAY = "http://127.0.0.1:9"
SHOWN = [item_id(number) for number in range(20)]


def test_two_looks_at_a_shop_that_publishes_in_between(settings: Settings) -> None:
    settings = settings.model_copy(
        update={
            "tracking_uri": AWAY,
            "placements": {"for_you": settings.placements["for_you"]},
            "monitoring": MonitoringSettings(min_sample=10),
        }
    )
    lists = {user_id(number): SHOWN for number in range(30)}
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=30, items=ITEMS, days=90)
        approve(warehouse, "1")
        trained(warehouse, datetime(2024, 12, 20))
        put_live(warehouse, settings, "p1", lists)
    first = pipeline.monitor(settings, now=NOW, run_id="r1")
    assert "127.0.0.1:9" in first["mlflow_error"]
    names = [one["name"] for one in latest_figures(settings)["measurements"]]
    assert names.count("feature_drift") == 29
    assert "score_drift" not in names
    with open_warehouse(settings, purpose="test") as warehouse:
        fewer = {user: SHOWN[::-1] for user in list(lists)[:15]}
        put_live(warehouse, settings, "p2", fewer, now=NOW + timedelta(days=1))
    second = pipeline.monitor(settings, now=NOW + timedelta(days=1), run_id="r2")
    assert {one["label"] for one in second["breaches"]} >= {"for_you coverage_share", "for_you fallback_share"}
    found = {one["name"]: one for one in latest_figures(settings)["measurements"]}
    assert found["coverage_share"]["value"] == 0.5
    assert found["score_drift"]["value"] == 0  # the same scores by rank
    assert found["data_delay_hours"]["value"] == 24
    with open_warehouse(settings, purpose="test") as warehouse:
        kept = measured(warehouse)
    assert len(kept) == 1 + first["measurements"] + second["measurements"]
    assert pipeline.monitor(settings, now=NOW + timedelta(days=1), run_id="r2")["breaches"] == second["breaches"]
