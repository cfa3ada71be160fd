"""Exposure caps: no product and no brand takes more than its share of all customers' places."""

import math

import duckdb

from recsys.assets import read_sql
from recsys.settings import ShapingSettings


def has_caps(settings: ShapingSettings) -> bool:
    """Tell whether any cap is in force."""
    return settings.item_cap < 1 or settings.brand_cap < 1


def cap_exposure(
    connection: duckdb.DuckDBPyConnection, settings: ShapingSettings, *, shown: int, others: int = 0
) -> None:
    """Make the table ``capped`` from the lists of all customers in ``listed``: who keeps which rank.

    Places are given away in rounds, the first rank of all lists before the second. Where a product or a brand has its
    share already, the row goes behind the spare ones and the next row moves up. A list that has nothing else left
    shows it nevertheless. The result depends on the rows alone, not on their order or on how they were made.

    Args:
        connection: has ``listed`` (subject_id, rank, item_id, brand, propensity), customers' rows only. What doesn't
            fit in the engine's memory, it keeps on disk. With ``others``, ``taken`` too (item_id, brand, places).
        settings: item_cap and brand_cap.
        shown: rows of a list that customers see.
        others: customers whose lists stay as they are. Theirs are among all customers' places, and those of them in
            ``taken`` are given away before.
    """
    connection.execute("create or replace temp table waiting as " + read_sql("shaping", "waiting.sql"))
    ((customers, deepest),) = connection.execute(
        "select count(distinct subject_id), coalesce(max(rank), 0) from waiting"
    ).fetchall()
    places = (customers + others) * shown
    taken = "select item_id, coalesce(brand, '') as brand, places from taken"
    none = "select '' as item_id, '' as brand, 0 as places limit 0"
    connection.execute(f"create or replace temp table places_taken as {taken if others else none}")
    connection.execute(
        "create or replace temp table admitted as select subject_id, rank, item_id, brand from waiting limit 0"
    )
    for turn in range(deepest + 1):
        connection.execute(
            "insert into admitted " + read_sql("shaping", "admit.sql"),
            {
                "round": turn,
                "shown": shown,
                "item_places": _limit(settings.item_cap, places),
                "brand_places": _limit(settings.brand_cap, places),
            },
        )
    connection.execute("create or replace temp table capped as " + read_sql("shaping", "capped.sql"), {"shown": shown})


def _limit(share: float, places: int) -> int:
    """Return the places that a share allows, at least one; a share of 1 is no cap."""
    return places if share >= 1 else max(1, math.floor(share * places + 1e-9))
