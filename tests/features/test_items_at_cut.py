"""What a product is at a cut: its version of that moment, not that of the snapshot."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from recsys.compute import engine
from recsys.cuts import lay_cut, lay_items
from recsys.features.tables import make_item_groups
from recsys.history import eligible_items, read_history
from recsys.ranking import write_labels, write_truth
from recsys.settings import PublicationSettings, Settings
from recsys.snapshot import Snapshot, take_snapshot
from tests.support.planted import NOW, Event, Version, days, parquet_rows, quick_settings, run_sql, write_shop

CUT = datetime(2024, 6, 1)
AS_OF = CUT + days(60)
INSTANT = timedelta(microseconds=1)


@contextmanager
def at_cut(
    settings: Settings, versions: Sequence[Version], *changes: str, cut: datetime = CUT
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection at the cut of a shop in which each product was bought often before and once after."""
    items = sorted({version.item for version in versions})
    born = {item: min(version.since for version in versions if version.item == item) for item in items}
    events = [Event("ann", item, CUT - days(n + 1)) for item in items if born[item] < CUT for n in range(5)]
    events += [Event("ann", "always", CUT - days(9)), *(Event("ann", item, CUT + days(20)) for item in items)]
    write_shop(settings, users=["ann"], items=[Version("always"), *versions], events=events)
    run_sql(settings, *changes)
    snapshot = Snapshot.open(take_snapshot(settings, as_of=AS_OF.isoformat(), now=NOW).uri)
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, cut)
        yield connection


def eligible(connection: duckdb.DuckDBPyConnection, settings: Settings, **options: bool) -> set[str]:
    found, _ = eligible_items(connection, settings, **options)
    names = dict(connection.execute("select item_idx, item_id from items").fetchall())
    return {names[number] for number in found.tolist()}


@pytest.mark.parametrize(("since", "is_new"), [(CUT - INSTANT, True), (CUT, False), (CUT + days(3), False)])
def test_groups_are_those_of_the_cut(tmp_path: Path, since: datetime, is_new: bool) -> None:
    """A product moves from tea's category, family and brand to milk's."""
    versions = [
        Version("milk", category="A > A > A", brand="A"),
        Version("tea", category="B > B > B", brand="B"),
        Version("soap", category="B > B > B", brand="B"),
        Version("soap", since, category="A > A > A", brand="A"),
    ]
    with at_cut(quick_settings(tmp_path), versions) as connection:
        make_item_groups(connection)
        rows = connection.execute(
            "select item_id, (category_no, family_no, brand_no) from item_groups join items using (item_idx)"
        ).fetchall()
    groups = dict(rows)
    assert groups["milk"] != groups["tea"]
    assert groups["soap"] == groups["milk" if is_new else "tea"]


def test_what_came_later_does_not_number_the_groups(tmp_path: Path) -> None:
    versions = [Version("milk", category="M"), Version("tea", CUT, category="A", brand="A")]
    with at_cut(quick_settings(tmp_path), versions) as connection:
        make_item_groups(connection)
        found = connection.execute(
            "select item_id, category_no from item_groups join items using (item_idx) order by 1"
        )
        assert found.fetchall() == [("always", 1), ("milk", 2)]
        lay_items(connection, CUT + INSTANT)
        make_item_groups(connection)
        found = connection.execute(
            "select item_id, category_no from item_groups join items using (item_idx) order by 1"
        )
        assert found.fetchall() == [("always", 2), ("milk", 3), ("tea", 1)]


VERSIONS = (
    Version("dropped later"),
    Version("dropped later", CUT, recommendable=False),
    Version("dropped before"),
    Version("dropped before", CUT - INSTANT, recommendable=False),
    Version("taken up later", recommendable=False),
    Version("taken up later", CUT + days(1)),
    Version("ended before"),
    Version("ended later"),
    Version("born later", CUT + days(2)),
)
ENDS = (
    f"update shop.item_versions set valid_to = timestamp '{CUT - INSTANT}' where item_id = 'ended before'",
    f"update shop.item_versions set valid_to = timestamp '{CUT}' where item_id = 'ended later'",
)


def test_what_may_be_recommended_is_judged_at_the_cut(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    with at_cut(settings, VERSIONS, *ENDS) as connection:
        assert eligible(connection, settings) == {"dropped later", "ended later"}


FRESH = (
    Version("sold", CUT - days(90)),
    Version("fresh", CUT - days(7)),
    Version("stale", CUT - days(7) - INSTANT),
    Version("barred", CUT - days(1), recommendable=False),
    Version("unborn", CUT),
)
NEVER_SOLD = "delete from shop.events where item_id in ('fresh', 'stale', 'barred') and occurred_at < timestamp "


def test_new_products_may_be_recommended_before_they_are_sold_where_the_shop_wants_it(tmp_path: Path) -> None:
    publication = PublicationSettings(min_item_purchases=3, new_item_days=7)
    settings = quick_settings(tmp_path, publication=publication)
    off = settings.model_copy(update={"publication": PublicationSettings(min_item_purchases=3)})
    with at_cut(settings, FRESH, f"{NEVER_SOLD}'{CUT}'") as connection:
        assert eligible(connection, settings, with_new=True) == {"sold", "fresh"}
        assert eligible(connection, settings) == {"sold"}
        assert eligible(connection, off, with_new=True) == {"sold"}
        history = read_history(connection, settings, CUT, 1, needs=("catalogue",))
        names = dict(connection.execute("select item_idx, item_id from items").fetchall())
        shown = [names[number] for number in history.items.tolist()]
        assert shown == ["fresh", "sold"]
        assert history.popularity.tolist() == [0, 1]
        # Rankers may learn that new products are bought; models are not measured by them.
        write_labels(connection, settings, history.items, tmp_path / "labels.parquet")
        write_truth(connection, settings, eligible_items(connection, settings)[0], tmp_path / "truth.parquet")
    learned = parquet_rows(f"select item_idx from '{tmp_path / 'labels.parquet'}'")
    assert {names[number] for (number,) in learned} == {"fresh", "sold"}
    judged = dict(parquet_rows(f"select item_idx, is_eligible from '{tmp_path / 'truth.parquet'}'"))
    assert {names[number]: value for number, value in judged.items() if value} == {"sold": True}


def test_what_is_relevant_is_judged_at_the_cut(tmp_path: Path) -> None:
    """A product of which nothing was known yet is relevant, though nobody could have recommended it."""
    settings = quick_settings(tmp_path)
    with at_cut(settings, VERSIONS, *ENDS) as connection:
        items, _ = eligible_items(connection, settings)
        write_truth(connection, settings, items, tmp_path / "truth.parquet")
        rows = connection.execute(
            "select item_id, is_eligible from read_parquet($1) join items using (item_idx)",
            [str(tmp_path / "truth.parquet")],
        ).fetchall()
    assert dict(rows) == {"dropped later": True, "ended later": True, "born later": False}


def test_what_is_out_of_stock_now_is_not_served_but_was_there_to_learn_from(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    gone = "update shop.item_versions set available = false where item_id = 'soap'"
    with at_cut(settings, [Version("milk"), Version("soap")], gone) as connection:
        assert eligible(connection, settings) == {"milk", "soap"}
    with at_cut(settings, [Version("milk"), Version("soap")], gone, cut=AS_OF) as connection:
        assert eligible(connection, settings, for_serving=True) == {"milk"}
