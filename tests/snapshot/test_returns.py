"""Returns in a snapshot: which purchase each takes back, and from when on."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recsys.settings import Settings
from tests.support.planted import Event, quick_settings
from tests.support.taken import DAY, FIRST, event, event_ids, shop, taken


@pytest.fixture
def settings(warehouse_url: str, tmp_path: Path) -> Settings:
    return quick_settings(tmp_path, warehouse_url=warehouse_url, rating_min=1, rating_max=5)


def test_a_return_counts_from_its_own_record_on(settings: Settings) -> None:
    bought, back = FIRST + DAY, FIRST + 5 * DAY
    known = FIRST + 10 * DAY
    shop(
        settings,
        Event("bob", "milk", bought, name="bought"),
        Event("bob", "milk", back, kind="return", recorded=known, name="back"),
    )
    assert event(taken(settings, known), "bought")["undone_at"] is None
    later = event(taken(settings, known + timedelta(seconds=1)), "bought")
    assert datetime.fromisoformat(later["undone_at"]) == known


def test_a_return_undoes_the_newest_purchase_before_it_only(settings: Settings) -> None:
    shop(
        settings,
        *(Event("bob", "milk", FIRST + n * DAY, name=f"bought {n}") for n in (1, 2, 4)),
        Event("ann", "milk", FIRST + 2 * DAY, name="of another"),
        Event("bob", "soap", FIRST + 2 * DAY, name="other"),
        Event("bob", "milk", FIRST + 3 * DAY, kind="return", name="back"),
    )
    snapshot = taken(settings)
    undone = [name for name in event_ids(snapshot) if event(snapshot, name)["undone_at"]]
    assert undone == ["bought 2"]


def undone_by(settings: Settings, *events: Event) -> dict[str, datetime]:
    """Return when each purchase that is taken back was."""
    shop(settings, *events)
    snapshot = taken(settings)
    found = {name: event(snapshot, name)["undone_at"] for name in event_ids(snapshot)}
    return {name: datetime.fromisoformat(at) for name, at in found.items() if at}


def milk(day: float, name: str, kind: str = "purchase", known: float | None = None) -> Event:
    recorded = None if known is None else FIRST + known * DAY
    return Event("bob", "milk", FIRST + day * DAY, kind=kind, recorded=recorded, name=name)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([milk(1, "a"), milk(2, "b"), milk(3, "r", "return"), milk(4, "s", "return")], {"b": 3, "a": 4}),
        ([milk(1, "a"), milk(2, "r", "return"), milk(3, "b"), milk(4, "s", "return")], {"a": 2, "b": 4}),
        ([milk(1, "a"), milk(2, "b"), milk(3, "r", "return"), milk(4, "c"), milk(5, "s", "return")], {"b": 3, "c": 5}),
        ([milk(1, "a"), milk(2, "r", "return"), milk(3, "s", "return"), milk(4, "b")], {"a": 2}),
        ([milk(0.5, "q", "return"), milk(1, "a"), milk(2, "b"), milk(3, "r", "return")], {"b": 3}),
        # the return that became known first comes first, whichever occurred first
        ([milk(1, "a"), milk(2, "b"), milk(3, "r", "return", 9), milk(4, "s", "return")], {"b": 4, "a": 9}),
        (
            [
                milk(1, "a"),
                *(milk(2 + n, f"b{n}") for n in range(5)),
                *(milk(9 + n, f"r{n}", "return") for n in range(6)),
            ],
            {"b4": 9, "b3": 10, "b2": 11, "b1": 12, "b0": 13, "a": 14},
        ),
    ],
)
def test_each_return_undoes_one_purchase(settings: Settings, events: list[Event], expected: dict[str, float]) -> None:
    assert undone_by(settings, *events) == {name: FIRST + day * DAY for name, day in expected.items()}


def test_a_return_never_undoes_a_purchase_that_became_known_after_it(settings: Settings) -> None:
    """Else a cut between the two would see another purchase undone than was known then."""
    shop(
        settings,
        Event("bob", "milk", FIRST + DAY, name="known"),
        Event("bob", "milk", FIRST + 2 * DAY, recorded=FIRST + 9 * DAY, name="late"),
        Event("bob", "milk", FIRST + 3 * DAY, kind="return", name="back"),
    )
    snapshot = taken(settings)
    assert event(snapshot, "known")["undone_at"] is not None
    assert event(snapshot, "late")["undone_at"] is None


def test_of_two_purchases_at_one_moment_always_the_same_is_undone(tmp_path: Path) -> None:
    undone = []
    for number, names in enumerate((("a", "b"), ("b", "a"))):
        settings = quick_settings(tmp_path / str(number))
        back = Event("bob", "milk", FIRST + 3 * DAY, kind="return", name="back")
        shop(settings, *(Event("bob", "milk", FIRST + DAY, name=name) for name in names), back)
        snapshot = taken(settings)
        undone.append([name for name in ("a", "b") if event(snapshot, name)["undone_at"]])
    assert undone == [["b"], ["b"]]
