"""Reasons speak of days: a purchase just after midnight must not be told as one of the day before."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from recsys.artifacts import local_path
from recsys.ranking import Ranker
from recsys.scoring import FittedState, Recipe, fit_state, score_shard
from recsys.scoring.shard import Scorer, Shard
from recsys.settings import PublicationSettings
from recsys.snapshot import Snapshot
from tests.support.chain import list_rows, stages_to_rankers
from tests.support.planted import Event, quick_settings, write_shop

MIDNIGHT = datetime(2024, 1, 2)
ITEMS = [f"i{n:02d}" for n in range(16)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, datetime, int]]:
    """Reason, last day and number of own purchases, in a shop that keeps days only: all happened at midnight."""
    folder: Path = tmp_path_factory.mktemp("told")
    settings = quick_settings(folder, publication=PublicationSettings(min_item_purchases=1, items=20, spare=0))
    random = np.random.default_rng(3)
    events = [
        Event(f"u{user:02d}", ITEMS[int(random.integers(len(ITEMS)))], MIDNIGHT + timedelta(days=int(day)))
        for user in range(30)
        for day in random.choice(300, 25, replace=False)
    ]
    write_shop(settings, users=[f"u{n:02d}" for n in range(30)], items=ITEMS, events=events)
    made = stages_to_rankers(settings)
    snapshot = Snapshot.open(made["snapshot"])
    assert snapshot.as_of.second == 1
    state = FittedState(fit_state(settings, snapshot, Recipe.of(settings, "for_you").state_key).path)
    ranker = Ranker.load(local_path(made["rankers"]) / "for_you" / "release")
    score_shard(snapshot, Shard(0, 4096), [Scorer(settings, "for_you", ranker, state)], folder)
    own: dict[tuple[str, str], list[datetime]] = {}
    for event in events:
        own.setdefault((str(event.user), str(event.item)), []).append(event.at)
    lists = list_rows([folder / "for_you.parquet"])
    reasons = {(row[0], row[2]): row[5] for row in lists}
    return [(reasons[pair], max(times), len(times)) for pair, times in own.items() if pair in reasons]


def test_the_day_of_the_last_purchase_is_the_day_it_was(told: list[tuple[str, datetime, int]]) -> None:
    assert len(told) > 200
    for reason, last, count in told:
        day = f"{last:%-d %B %Y}"
        once, often = f"You bought this on {day}.", f"You bought this {count} times, last on {day}."
        assert re.sub(r", about every \d+ days", "", reason) == (once if count == 1 else often)
