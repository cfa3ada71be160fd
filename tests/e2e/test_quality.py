"""The published lists of the whole demo shop, measured by what customers bought afterwards."""

from datetime import datetime
from pathlib import Path

import pytest

from recsys.evaluation.roles import singles_of
from recsys.load import load_source
from recsys.pipeline import measure_published, run_chain
from tests.support.warehouse import make_settings

CUT = "2017-12-05"
NOW = datetime(2026, 1, 1)


@pytest.mark.soak
def test_the_whole_shop_reaches_the_measure(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, memory_limit_gb=3.0)
    load_source(settings, "completejourney", until=CUT, promotions=False)
    placements = ["for_you", "discover"]
    outcome = run_chain(settings, as_of=CUT, placements=placements, now=NOW, progress=lambda stage, result: None)
    assert [row["status"] for row in outcome["published"]] == ["live", "live"]
    load_source(settings, "completejourney", promotions=False)
    measured = {p: measure_published(settings, placement=p, now=NOW)["metrics"]["ndcg@10"] for p in placements}
    assert measured["for_you"] >= 0.412
    assert measured["discover"] >= 0.046
    for placement, models in outcome["metrics"].items():
        assert models["ranker"] > max(models[name] for name in singles_of(models)), placement
        assert models["shaped"] >= 0.98 * models["ranker"], "shaping may cost two in a hundred"
