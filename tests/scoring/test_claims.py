"""Every number in a reason is recomputed from the events of the snapshot."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.artifacts import local_path
from recsys.ranking import Ranker
from recsys.scoring import FittedState, Recipe, fit_state, score_shard
from recsys.scoring.shard import Scorer, Shard
from recsys.settings import CandidateSettings, PublicationSettings
from recsys.snapshot import Snapshot
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, list_rows, stages_to_rankers
from tests.support.planted import parquet_rows, quick_settings
from tests.support.warehouse import write_small_shop

GENERATORS = (
    "popularity",
    "popularity_all",
    "popularity_trending",
    "popularity_segment",
    "popularity_market",
    "popularity_category",
    "due",
)
RECENT = 28


@dataclass(frozen=True)
class Purchase:
    user: str
    item: str
    at: datetime


@dataclass(frozen=True)
class Told:
    """What was told, and what is true."""

    reasons: list[tuple[str, str, str]]  # customer, product, reason
    purchases: list[Purchase]
    as_of: datetime
    segment: dict[str, str]
    market: dict[str, str]
    path: dict[str, str]

    def buyers(self, item: str, low: float, high: float, *group: tuple[dict[str, str], str]) -> int:
        """Return the customers (of a group) who bought a product more than ``low`` and at most ``high`` days ago."""
        since, until = self.as_of - timedelta(days=high), self.as_of - timedelta(days=low)
        bought = {p.user for p in self.purchases if p.item == item and since <= p.at < until}
        return len([user for user in bought if all(groups[user] == own for groups, own in group)])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder: Path = tmp_path_factory.mktemp("claims")
    candidates = CandidateSettings(generators=GENERATORS, per_generator=20, group_prior=5.0)
    settings = quick_settings(
        folder, candidates=candidates, publication=PublicationSettings(min_item_purchases=3, items=20, spare=0)
    )
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=80)
    made = stages_to_rankers(settings)
    snapshot = Snapshot.open(made["snapshot"])
    scorers = []
    for placement in PLACEMENTS:
        state = FittedState(fit_state(settings, snapshot, Recipe.of(settings, placement).state_key).path)
        ranker = Ranker.load(local_path(made["rankers"]) / placement / "release")
        scorers.append(Scorer(settings, placement, ranker, state))
    score_shard(snapshot, Shard(0, 4096), scorers, folder)
    lists = list_rows([folder / f"{placement}.parquet" for placement in PLACEMENTS])
    return Told(reasons=[(row[0], row[2], row[5]) for row in lists], **truth_of(snapshot))


def truth_of(snapshot: Snapshot) -> dict[str, Any]:
    names = {"events": snapshot.event_files(), "users": str(snapshot.users), "items": str(snapshot.items)}
    rows = parquet_rows(
        "select user_id, item_id, occurred_at, market from read_parquet($events) inner join read_parquet($users) "
        "using (user_idx) inner join read_parquet($items) using (item_idx) "
        "where event_type = 'purchase' and undone_at is null",
        **names,
    )
    markets: dict[str, Counter[str]] = {}
    for user, _, _, market in rows:
        markets.setdefault(user, Counter())[market] += 1
    return {
        "purchases": [Purchase(user, item, at) for user, item, at, _ in rows],
        "as_of": snapshot.as_of,
        "segment": dict(parquet_rows("select user_id, segment from read_parquet($users)", users=names["users"])),
        "market": {user: min(found, key=lambda name: (-found[name], name)) for user, found in markets.items()},
        "path": dict(parquet_rows("select item_id, category from read_parquet($items)", items=names["items"])),
    }


def found(told: Told, pattern: str, fewest: int = 5) -> list[tuple[str, str, re.Match[str]]]:
    """Return customer, product and what a reason's pattern matched; the test would prove nothing without any."""
    matched = [(user, item, re.fullmatch(pattern, reason)) for user, item, reason in told.reasons]
    rows = [(user, item, match) for user, item, match in matched if match]
    assert len(rows) >= fewest, pattern
    return rows


def test_every_reason_is_one_of_those_recomputed_here(told: Told) -> None:
    known = "|".join(
        (
            r"You bought this .*\.",
            r"Popular (now|where you shop|in .*, where you look): \d+ .*\.",
            r"Popular with our .* customers: \d+ .*\.",
            r"A favourite: \d+ customers have bought this\.",
            r"On the rise: .*\.",
        )
    )
    assert not [reason for *_, reason in told.reasons if not re.fullmatch(known, reason)]


def test_popular_now(told: Told) -> None:
    for _, item, match in found(told, r"Popular now: (\d+) customers bought this in the last 28 days\."):
        assert int(match[1]) == told.buyers(item, 0, RECENT)


def test_a_favourite(told: Told) -> None:
    for _, item, match in found(told, r"A favourite: (\d+) customers have bought this\."):
        assert int(match[1]) == told.buyers(item, 0, 10_000)


def test_on_the_rise(told: Told) -> None:
    sentence = r"On the rise: (\d+) customers bought this in the last 28 days, (\d+) in the 28 days before\."
    for _, item, match in found(told, sentence, fewest=1):
        assert int(match[1]) == told.buyers(item, 0, RECENT)
        assert int(match[2]) == told.buyers(item, RECENT, 2 * RECENT)


def test_popular_in_the_segment(told: Told) -> None:
    sentence = r"Popular with our (.*) customers: (\d+) bought this in the last 28 days\."
    for user, item, match in found(told, sentence):
        assert match[1] == told.segment[user]
        assert int(match[2]) == told.buyers(item, 0, RECENT, (told.segment, match[1]))


def test_popular_where_the_customer_shops(told: Told) -> None:
    sentence = r"Popular where you shop: (\d+) customers who shop there bought this in the last 28 days\."
    for user, item, match in found(told, sentence):
        assert int(match[1]) == told.buyers(item, 0, RECENT, (told.market, told.market[user]))


def test_popular_in_the_category(told: Told) -> None:
    sentence = r"Popular in (.*), where you look: (\d+) customers bought this in the last 28 days\."
    own: dict[str, set[str]] = {}
    for purchase in told.purchases:
        own.setdefault(purchase.user, set()).update(told.path[purchase.item].split(" > "))
    for user, item, match in found(told, sentence):
        assert match[1] in told.path[item].split(" > ")
        assert match[1] in own[user]
        assert int(match[2]) == told.buyers(item, 0, RECENT)


def test_the_rhythm_of_the_customer(told: Told) -> None:
    sentence = r"You bought this (\d+) times, about every (\d+) days, last on (.*)\."
    times: dict[tuple[str, str], list[datetime]] = {}
    for purchase in told.purchases:
        times.setdefault((purchase.user, purchase.item), []).append(purchase.at)
    for user, item, match in found(told, sentence):
        own = sorted(times[user, item])
        mean = (own[-1] - own[0]) / timedelta(days=1) / (len(own) - 1)
        assert len(own) == int(match[1]) >= 3
        assert int(match[2]) == pytest.approx(mean, abs=0.5001)
        assert match[3] == f"{own[-1]:%-d %B %Y}"
