"""What is known at a cut, worked out by hand on two shops of a dozen events."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.history import History, Need, read_history
from recsys.settings import CandidateSettings, PublicationSettings, Settings
from recsys.snapshot import Snapshot, take_snapshot
from tests.support.planted import NOW, Event, Person, Version, days, quick_settings, run_sql, write_shop

CUT = datetime(2024, 6, 1)
HALF_LIFE = 30.0
WEIGHTS = {"purchase": 1.0, "cart": 0.5, "rating": 0.25, "view": 0.1, "click": 0.0}
USERS = ("ann", "bob", "cem")
ITEMS = ("A", "B", "C", "D")


def settings_of(folder: Path) -> Settings:
    return quick_settings(
        folder,
        candidates=CandidateSettings(half_life_days=HALF_LIFE, event_weights=WEIGHTS),
        publication=PublicationSettings(min_item_purchases=0),
    )


def read(
    folder: Path,
    events: Sequence[Event],
    *,
    users: Sequence[str | Person] = USERS,
    items: Sequence[str | Version] = ITEMS,
    needs: Collection[Need] = (),
    rules: Sequence[str] = (),
) -> tuple[History, dict[str, int]]:
    """Return the history at the cut, from a snapshot as of much later, and each customer's row."""
    settings = settings_of(folder)
    write_shop(settings, users=users, items=items, events=events)
    run_sql(settings, *(f"insert into shop.item_rules by name {rule}" for rule in rules))
    snapshot = Snapshot.open(take_snapshot(settings, as_of=(CUT + days(90)).isoformat(), now=NOW).uri)
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        history = read_history(connection, settings, CUT, snapshot.user_count, needs=needs)
        rows = dict(connection.execute("select user_id, user_idx from users").fetchall())
    return history, rows


def ago(age: float) -> datetime:
    return CUT - days(age)


def decayed(age: float) -> float:
    return float(0.5 ** (age / HALF_LIFE))


EVENTS = (
    Event("ann", "A", ago(30)),
    Event("ann", "A", ago(10)),
    Event("ann", "A", ago(9), kind="view"),
    Event("ann", "B", ago(10)),
    Event("ann", "C", ago(3), kind="cart"),
    Event("ann", "D", ago(1), kind="click"),  # weighs nothing: D is seen, and no more
    Event("bob", "A", ago(20)),
    Event("bob", "A", ago(19), kind="return"),  # takes it back: A is seen, and no more
    Event("bob", "B", ago(60)),
    Event("bob", "B", ago(15)),
    Event("bob", "B", ago(14), kind="return", recorded=CUT),  # known too late to count
    Event("bob", "C", ago(5), kind="rating", value=1),
    # Nothing of this was known yet.
    Event("cem", "A", CUT),
    Event("cem", "B", ago(2), recorded=CUT),
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, dict[str, int]]:
    return read(tmp_path_factory.mktemp("known"), EVENTS)


EXPECTED = {
    "purchases": {"ann": (2, 1, 0, 0), "bob": (0, 2, 0, 0)},
    "weights": {
        "ann": (decayed(30) + decayed(10), decayed(10), 0, 0),
        "bob": (0, decayed(60) + decayed(15), 0, 0),
    },
    "interest": {
        "ann": (decayed(30) + decayed(10) + 0.1 * decayed(9), decayed(10), 0.5 * decayed(3), 0),
        "bob": (0, decayed(60) + decayed(15), 0.25 * decayed(5), 0),
    },
    # ann turned to C 3 days ago, to A 9 and to B 10 days ago; bob to C 5 and to B 15 days ago
    "recency": {"ann": (2, 3, 1, 0), "bob": (0, 2, 1, 0)},
    "seen": {"ann": (1, 1, 1, 1), "bob": (1, 1, 1, 0)},
    "first_days": {"ann": (30, 10, 0, 0), "bob": (0, 60, 0, 0)},
    "last_days": {"ann": (10, 10, 0, 0), "bob": (0, 15, 0, 0)},
    # the last 28 days, and the 28 before: 60 days ago is neither
    "recent": {"ann": (1, 1, 0, 0), "bob": (0, 1, 0, 0)},
    "earlier": {"ann": (1, 0, 0, 0), "bob": (0, 0, 0, 0)},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_matrices_by_hand(known: tuple[History, dict[str, int]], name: str) -> None:
    history, rows = known
    assert history.shape == (3, 4)
    found = getattr(history, name).toarray()
    assert found[rows["cem"]].tolist() == [0, 0, 0, 0]
    for user, expected in EXPECTED[name].items():
        assert found[rows[user]] == pytest.approx(np.array(expected), rel=1e-6), user


def test_windows_end_where_they_say(tmp_path: Path) -> None:
    moment = timedelta(microseconds=1)
    events = [
        Event("ann", "A", ago(28)),
        Event("ann", "B", ago(28) - moment),
        Event("ann", "C", ago(56)),
        Event("ann", "D", ago(56) - moment),
    ]
    history, rows = read(tmp_path, events)
    assert history.recent.toarray()[rows["ann"]].tolist() == [1, 0, 0, 0]
    assert history.earlier.toarray()[rows["ann"]].tolist() == [0, 1, 1, 0]


def test_matrices_of_purchases_agree_where_old_ones_weigh_nothing(tmp_path: Path) -> None:
    history, rows = read(tmp_path, [Event("ann", "A", CUT - days(60 * HALF_LIFE)), Event("ann", "B", ago(1))])
    for name in ("purchases", "weights", "first_days", "last_days"):
        found = getattr(history, name)[[rows["ann"]]]
        assert found.indices.tolist() == [0, 1], name


def test_what_happened_at_one_moment_is_equally_recent(tmp_path: Path) -> None:
    moment = ago(5)
    events = [
        Event("ann", "A", moment),
        Event("ann", "B", moment, kind="view"),
        Event("ann", "C", moment + timedelta(microseconds=1)),
        Event("ann", "D", ago(8)),
        Event("ann", "D", moment),
    ]
    history, rows = read(tmp_path, events)
    assert history.recency.toarray()[rows["ann"]].tolist() == [2, 2, 1, 2]


LINES = (
    Event("ann", "B", ago(10), basket="one"),
    Event("ann", "A", ago(10), basket="one"),
    Event("ann", "A", ago(4), kind="view", basket="visit"),
    Event("ann", "C", ago(2), basket="two"),
    Event("ann", "D", ago(1), basket="two"),
    Event("ann", "B", ago(1), kind="click", basket="two"),  # weighs nothing
    Event("bob", "C", ago(7), basket="two"),  # another customer's basket of the same name
    Event("bob", "D", ago(6)),
    Event("bob", "D", ago(5), kind="return"),
    Event(None, "A", ago(3), basket="till"),
    Event(None, "D", ago(3), basket="till"),
    Event(None, "B", ago(3), kind="view", basket="till"),  # of guests only purchases are kept
    Event(None, "A", CUT, basket="later"),
    Event("ann", "A", ago(2), basket="known later", recorded=CUT + days(1)),
)


def test_lines_by_hand(tmp_path: Path) -> None:
    history, rows = read(tmp_path, LINES, needs=("lines",))
    lines = history.lines
    assert lines is not None
    names = {number: name for name, number in rows.items()} | {-1: "guest"}
    found = [
        (names[user], ITEMS[column], bool(bought), round(float(weight), 3), round(float(age), 3))
        for user, column, bought, weight, age in zip(
            lines.user_idx, lines.column, lines.is_purchase, lines.weight, lines.age, strict=True
        )
    ]
    expected = {
        "guest": [("guest", "A", True, 1, 3), ("guest", "D", True, 1, 3)],
        "ann": [
            ("ann", "A", True, 1, 10),
            ("ann", "B", True, 1, 10),
            ("ann", "A", False, 0.1, 4),
            ("ann", "C", True, 1, 2),
            ("ann", "D", True, 1, 1),
        ],
        "bob": [("bob", "C", True, 1, 7)],
    }
    order = sorted(expected, key=lambda name: -1 if name == "guest" else rows[name])
    assert found == [row for name in order for row in expected[name]]
    assert len(set(zip(lines.user_idx.tolist(), lines.basket.tolist(), strict=True))) == 1 + 3 + 1
    baskets = {name: lines.basket[[row[0] == name for row in found]].tolist() for name in expected}
    first = {name: values[0] for name, values in baskets.items()}
    assert {name: [value - first[name] for value in values] for name, values in baskets.items()} == {
        "guest": [0, 0],
        "ann": [0, 0, 1, 2, 2],
        "bob": [0],
    }
    assert sorted(set(lines.basket.tolist())) == list(range(5)), "dense over all customers"


def test_events_without_a_basket_belong_together_at_one_moment(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    events = [Event("ann", "A", ago(3)), Event("ann", "B", ago(3)), Event("ann", "C", ago(2))]
    write_shop(settings, users=USERS, items=ITEMS, events=events)
    run_sql(settings, "update shop.events set basket_id = null")
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=NOW).uri)
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        lines = read_history(connection, settings, CUT, 3, needs=("lines",)).lines
    assert lines is not None
    assert lines.basket.tolist() == [0, 0, 1]


def test_costly_parts_are_read_on_request_only(known: tuple[History, dict[str, int]]) -> None:
    history, _ = known
    assert (history.lines, history.catalogue, history.ratings) == (None, None, None)


def test_ratings_by_hand(tmp_path: Path) -> None:
    def rated(user: str, item: str, age: float, value: float | None, kind: str = "rating", **more: datetime) -> Event:
        return Event(user, item, ago(age), kind=kind, value=value, **more)

    events = [
        rated("ann", "A", 9, 2),
        rated("ann", "A", 5, 4, "review"),  # newer
        rated("ann", "A", 4, None),  # says nothing
        rated("ann", "B", 5, 3),
        rated("ann", "B", 5, 5),  # equally new: the higher
        rated("ann", "C", 5, 0),  # zero is a rating
        rated("bob", "A", 1, 1),
        rated("bob", "A", 0.5, 5, recorded=CUT),  # known too late
        rated("cem", "D", -1, 5),
        Event("cem", "D", ago(3), value=7),  # a purchase is no rating
    ]
    history, rows = read(tmp_path, events, needs=("ratings",))
    ratings = history.ratings
    assert ratings is not None
    found = {
        (user, ITEMS[column]): float(ratings.data[place])
        for user, row in rows.items()
        for place in range(ratings.indptr[row], ratings.indptr[row + 1])
        for column in [ratings.indices[place]]
    }
    assert found == {("ann", "A"): 4, ("ann", "B"): 5, ("ann", "C"): 0, ("bob", "A"): 1}


def test_groups_by_hand(tmp_path: Path) -> None:
    def bought(user: str, age: float, market: str | None, item: str = "A", **more: datetime) -> Event:
        return Event(user, item, ago(age), market=market, **more)

    events = [
        *(bought("ann", 9, "north") for _ in range(2)),
        bought("ann", 8, "south"),
        *(bought("ann", -1, "south") for _ in range(5)),  # later
        *(bought("bob", 9, "south") for _ in range(2)),
        *(bought("bob", 8, "north") for _ in range(2)),  # as many: the first by name
        bought("cem", 9, None),
        bought("dan", 9, "north", "B"),
        bought("dan", 8, "south", "C"),
        bought("dan", 7, "south", "C"),
        *(Event("dan", "C", ago(6 - n), kind="return") for n in range(2)),  # both of the south are taken back
    ]
    users = [
        Person("ann", attributes={"segment": "families"}),
        Person("bob", attributes={}),
        Person("cem", attributes={"segment": "seniors"}),
        Person("dan", attributes={"segment": "families"}),
    ]
    history, rows = read(tmp_path, events, users=users)
    markets = {user: history.markets.names[history.markets.codes[row]] for user, row in rows.items()}
    segments = {user: history.segments.names[history.segments.codes[row]] for user, row in rows.items()}
    assert markets == {"ann": "north", "bob": "north", "cem": "", "dan": "north"}
    assert segments == {"ann": "families", "bob": "unknown", "cem": "seniors", "dan": "families"}
    assert (history.markets.names, history.segments.names) == (("", "north"), ("families", "seniors", "unknown"))


def test_catalogue_is_that_of_the_cut_in_the_order_of_the_columns(tmp_path: Path) -> None:
    items = [
        Version("A", title="Tea", category="Drinks > Tea", brand="Leaf"),
        Version("B", title="Soap", category="Then", brand=""),
        Version("B", CUT, title="Later", category="Later", brand="Later"),
        Version("C", CUT, title="Not yet"),
        Version("D", title="Milk", category="Drinks > Milk", brand="Cow"),
    ]
    history, _ = read(tmp_path, [Event("ann", "A", ago(1))], items=items, needs=("catalogue",))
    catalogue = history.catalogue
    assert catalogue is not None
    assert catalogue.title.tolist() == ["Tea", "Soap", "Milk"]
    assert catalogue.category.tolist() == ["Drinks > Tea", "Then", "Drinks > Milk"]
    assert catalogue.brand.tolist() == ["Leaf", "", "Cow"]
    assert catalogue.known_days.tolist() == [152, 152, 152]


def test_traits_are_simple_attributes_that_several_customers_have(tmp_path: Path) -> None:
    users = [
        Person("ann", attributes={"segment": "families", "age": "30-40", "kids": 2, 'odd "name"': True}),
        Person("bob", attributes={"segment": "families", "age": "30-40", "kids": 2, "id": 17, "odd": None}),
        Person("cem", attributes={"age": "50+", 'odd "name"': True, "list": [1], "object": {"a": 1}}),
    ]
    history, rows = read(tmp_path, [Event("ann", "A", ago(1))], users=users, needs=("traits",))
    assert history.traits is not None
    assert history.traits.names == ("age=30-40", "kids=2", 'odd "name"=true')
    found = history.traits.members.toarray()
    assert {name: found[row].tolist() for name, row in rows.items()} == {
        "ann": [1, 1, 1],
        "bob": [1, 1, 0],
        "cem": [0, 0, 1],
    }


@pytest.mark.parametrize("attributes", ["null", "'[1, 2]'", "'7'", "'null'", "'{}'"])
def test_attributes_that_are_no_object_tell_nothing(tmp_path: Path, attributes: str) -> None:
    settings = settings_of(tmp_path)
    write_shop(settings, users=USERS, items=ITEMS, events=[Event("ann", "A", ago(1))])
    run_sql(settings, f"update shop.users set attributes = {attributes}")
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=NOW).uri)
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        traits = read_history(connection, settings, CUT, 3, needs=("traits",)).traits
    assert traits is not None
    assert (traits.members.shape, traits.names) == ((3, 0), ())


def rule(rule_id: str, known_at: datetime, **values: str) -> str:
    """Return the select of one rule."""
    given = {"rule_id": rule_id, "created_by": "test", **values}
    columns = ", ".join(f"'{value}' as {name}" for name, value in given.items())
    return f"select {columns}, timestamp '{known_at}' as known_at"


def test_rules_are_those_known_before_the_cut_that_hold_then(tmp_path: Path) -> None:
    boost = {"kind": "boost", "item_id": "A"}
    rules = [
        rule("known", ago(1), **boost),
        rule("not yet known", CUT, **boost),
        rule("of winter", ago(1), **boost, season_from="11-01", season_to="03-01"),
        rule("of summer", ago(1), **boost, season_from="06-01", season_to="08-31"),
        rule("over", ago(1), **boost, ends_at=str(CUT)),
    ]
    history, _ = read(tmp_path, [Event("ann", "A", ago(1))], needs=("rules",), rules=rules)
    assert history.rules is not None
    assert [one.rule_id for one in history.rules.rules] == ["known", "of summer"]
    assert history.rules.left.toarray().tolist() == [[1, 0, 0, 0]] * 2
    assert read(tmp_path, [Event("ann", "A", ago(1))])[0].rules is None


def test_rules_speak_of_products_as_they_were_and_of_those_that_may_not_be_recommended(tmp_path: Path) -> None:
    items = [
        Version("A", brand="Acme"),
        Version("B", category="Office > Ink"),
        Version("C", brand="Acme"),
        Version("C", brand="Other", since=ago(3)),
        Version("C", brand="Acme", category="Office", since=CUT),
        Version("gone", brand="Acme", recommendable=False),
        Version("unsold", brand="Acme", recommendable=False),
    ]
    events = [
        Event("ann", "A", ago(10)),
        Event("bob", "gone", ago(30)),
        Event("bob", "gone", ago(60)),
        Event("cem", "gone", ago(1), kind="view"),
        Event("cem", "unsold", ago(1), kind="view"),
        Event("cem", "C", ago(1)),
    ]
    rules = [
        rule("1", ago(1), kind="goes_with", brand="Acme", other_category="Office"),
        rule("2", ago(1), kind="replaces", item_id="C", other_item_id="gone"),
    ]
    history, rows = read(tmp_path, events, items=items, needs=("rules",), rules=rules)
    assert history.rules is not None
    # Columns are A, B, C and, outside, what somebody bought and may not be recommended.
    assert len(history.items) == 3
    assert history.rules.left.toarray().tolist() == [[1, 0, 0, 1], [0, 0, 1, 0]]
    assert history.rules.right.toarray().tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    bought = history.rules.bought.toarray()[:, 0]
    expected = {"ann": 0, "bob": decayed(30) + decayed(60), "cem": 0}
    assert {user: bought[rows[user]] for user in USERS} == pytest.approx(expected)
