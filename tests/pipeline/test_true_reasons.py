"""Every reason that the made shop's customers read is recomputed from the snapshot, spare rows included."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recsys.artifacts import local_path
from tests.support.chain import PLACEMENTS, Ran, list_rows
from tests.support.planted import parquet_rows

DAY = "%-d %B %Y"
NEUTRAL = "This is part of our range."
FITS = "Fits what you usually buy."


@dataclass(frozen=True)
class Truth:
    """What the snapshot knows of purchases that were not taken back."""

    times: dict[tuple[str, str], list[datetime]]
    buyers: dict[str, set[str]]
    recent: Counter[str]
    by_title: dict[str, str]

    def own(self, user: str) -> set[str]:
        return {item for customer, item in self.times if customer == user}


@pytest.fixture(scope="module")
def truth(ran: Ran) -> Truth:
    snapshot = ran.snapshot
    rows = parquet_rows(
        "select user_id, item_id, occurred_at from read_parquet($events) inner join read_parquet($users) "
        "using (user_idx) inner join read_parquet($items) using (item_idx) "
        "where event_type = 'purchase' and undone_at is null order by occurred_at",
        events=snapshot.event_files(),
        users=str(snapshot.users),
        items=str(snapshot.items),
    )
    times, buyers = defaultdict(list), defaultdict(set)
    for user, item, at in rows:
        times[user, item].append(at)
        buyers[item].add(user)
    since = snapshot.as_of - timedelta(days=28)
    titles = parquet_rows("select title, item_id from read_parquet($items)", items=str(snapshot.items))
    return Truth(
        times=dict(times),
        buyers=dict(buyers),
        recent=Counter(item for (_, item), own in times.items() if own[-1] >= since),
        by_title=dict(titles),
    )


@pytest.fixture(scope="module")
def told(ran: Ran) -> list[tuple[str, str, str, str]]:
    """Customer, product, source and reason of every row of both placements."""
    files: list[Path] = [
        local_path(stage["lists"]) / f"{placement}.parquet"
        for name, stage in ran.stages.items()
        if name.startswith("scoring")
        for placement in PLACEMENTS
    ]
    return [(row[0], row[2], row[4], row[5]) for row in list_rows(files)]


def bought_once(truth: Truth, user: str, item: str, said: re.Match[str]) -> bool:
    own = truth.times[user, item]
    return len(own) == 1 and said[1] == f"{own[0]:{DAY}}"


def bought_often(truth: Truth, user: str, item: str, said: re.Match[str]) -> bool:
    own = truth.times[user, item]
    return len(own) == int(said[1]) > 1 and said[2] == f"{own[-1]:{DAY}}"


def bought_by_rhythm(truth: Truth, user: str, item: str, said: re.Match[str]) -> bool:
    own = truth.times[user, item]
    days = (own[-1] - own[0]) / timedelta(days=1) / (len(own) - 1)
    return len(own) == int(said[1]) and said[3] == f"{own[-1]:{DAY}}" and abs(days - int(said[2])) <= 1


def popular(truth: Truth, user: str, item: str, said: re.Match[str]) -> bool:
    return truth.recent[item] == int(said[1]) > 0


def bought_with(truth: Truth, user: str, item: str, said: re.Match[str]) -> bool:
    """Say whether the customer bought what is named, and others bought both: then the two are similar."""
    named = truth.by_title[said[1]]
    together = truth.buyers[named] & truth.buyers[item] - {user}
    return named != item and (user, named) in truth.times and bool(together)


def bought_by_the_like(truth: Truth, user: str, item: str, said: re.Match[str]) -> bool:
    """Say whether somebody bought it who has bought what this customer did."""
    return any(truth.own(user) & truth.own(other) for other in truth.buyers[item] - {user})


CLAIMS = {
    r"You bought this on (.+)\.": bought_once,
    r"You bought this (\d+) times, last on (.+)\.": bought_often,
    r"You bought this (\d+) times, about every (\d+) days, last on (.+)\.": bought_by_rhythm,
    r"Popular now: (\d+) customers bought this in the last 28 days\.": popular,
    r"Often bought by customers who, like you, bought (.+)\.": bought_with,
    r"Bought by customers whose taste is most like yours\.": bought_by_the_like,
}


@pytest.mark.parametrize("pattern", CLAIMS)
def test_the_claim_is_true(truth: Truth, told: list[tuple[str, str, str, str]], pattern: str) -> None:
    claims = CLAIMS[pattern]
    found = [(user, item, re.fullmatch(pattern, reason)) for user, item, _, reason in told]
    said = [(user, item, match) for user, item, match in found if match]
    assert len(said) > 20
    assert not [(user, item, match[0]) for user, item, match in said if not claims(truth, user, item, match)]


def test_no_reason_says_anything_else(told: list[tuple[str, str, str, str]]) -> None:
    others = [row for row in told if not any(re.fullmatch(pattern, row[-1]) for pattern in CLAIMS)]
    assert {reason for *_, reason in others} <= {FITS}
    # What fits is what a model of the customer's taste proposed.
    assert all("als" in source.split(",") for *_, source, _ in others)


def test_what_was_bought_is_told(truth: Truth, told: list[tuple[str, str, str, str]]) -> None:
    own = [reason for user, item, _, reason in told if (user, item) in truth.times]
    assert own
    assert all(reason.startswith("You bought this ") for reason in own)
