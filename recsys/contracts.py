"""What canonical rows must look like. What fails goes to quarantine with its reason.

The rules stand in ``sql/snapshot/checked_events.sql`` and below; they are applied to what was
extracted, so they hold for every source, also one that fills the canonical tables by its own means.
"""

from datetime import datetime

import duckdb
import pyarrow as pa
from sqlalchemy import text

from recsys import columns as c
from recsys.assets import read_sql
from recsys.errors import ContractError
from recsys.warehouse import Warehouse

REQUIRED: dict[str, tuple[str, ...]] = {
    c.USERS: (c.USER_ID, c.BUCKET, c.CREATED_AT, c.IS_PERSONALISED, c.ATTRIBUTES),
    c.ITEMS: (c.ITEM_ID, c.ATTRIBUTES),
    c.ITEM_VERSIONS: (c.ITEM_ID, "valid_from", c.TITLE, c.CATEGORY, c.BRAND, c.AVAILABLE, c.RECOMMENDABLE),
    c.PROMOTIONS: (c.ITEM_ID, c.MARKET, "starts_at", "ends_at", "known_at"),
    c.ITEM_RULES: (
        c.RULE_ID,
        c.KIND,
        c.ITEM_ID,
        c.BRAND,
        c.CATEGORY,
        c.OTHER_ITEM_ID,
        c.OTHER_BRAND,
        c.OTHER_CATEGORY,
        c.WEIGHT,
        c.PLACEMENT,
        c.STARTS_AT,
        c.ENDS_AT,
        c.SEASON_FROM,
        c.SEASON_TO,
        c.KNOWN_AT,
    ),
    c.SOURCES: ("has_item_history",),
    c.EVENTS: (
        c.EVENT_ID,
        c.USER_ID,
        c.ITEM_ID,
        c.EVENT_TYPE,
        c.OCCURRED_AT,
        c.RECORDED_AT,
        c.QUANTITY,
        c.VALUE,
        c.BASKET_ID,
        "market",
    ),
}


def check_columns(warehouse: Warehouse) -> None:
    """Check that the canonical tables have the columns that a snapshot reads.

    Raises:
        ContractError: naming every missing table and column.
    """
    rows = warehouse.query(
        "select table_name, column_name from information_schema.columns where table_schema = :shop",
        {"shop": c.SHOP},
    )
    present = {(row["table_name"], row["column_name"]) for row in rows}
    missing = [
        f"{c.SHOP}.{table}.{column}"
        for table, names in REQUIRED.items()
        for column in names
        if (table, column) not in present
    ]
    if not any(table == c.EVENTS for table, _ in present):
        raise ContractError(
            "The warehouse has no shop yet. Load one first: 'recsys load completejourney' (the demo), or 'recsys init "
            "NAME' for your own."
        )
    if missing:
        raise ContractError(
            f"The warehouse lacks {', '.join(missing)}. Run 'recsys migrate' to make the canonical tables, "
            "and give the column in the source's staging SQL."
        )


def split_entities(engine: duckdb.DuckDBPyConnection) -> None:
    """Make ``valid_users`` and ``valid_items`` from what was extracted: an id, and the first row of each."""
    for name, key in ((c.USERS, c.USER_ID), (c.ITEMS, c.ITEM_ID)):
        engine.execute(
            f"create temp table valid_{name} as select * from extracted_{name} where {key} is not null "
            f"qualify row_number() over (partition by {key} order by to_json(extracted_{name})::varchar) = 1"
        )


def split_events(
    engine: duckdb.DuckDBPyConnection,
    *,
    latest_allowed: datetime,
    max_user_events: int,
    rating_range: tuple[float, float],
) -> dict[str, int]:
    """Make ``valid_events`` and ``rejected_events`` from ``extracted_events``.

    Returns:
        The number of rejected rows by rule.
    """
    engine.execute(
        f"create temp table checked_events as {read_sql('snapshot', 'checked_events.sql')}",
        {
            "latest_allowed": latest_allowed,
            "max_user_events": max_user_events,
            "rating_min": rating_range[0],
            "rating_max": rating_range[1],
            "event_types": list(c.EVENT_TYPES),
        },
    )
    engine.execute(
        "create temp view valid_events as select checked_events.*, coalesce(valid_users.bucket, -1) as bucket "
        "from checked_events left join valid_users using (user_id) where rule is null"
    )
    engine.execute("create temp view rejected_events as select * from checked_events where rule is not null")
    counts = engine.execute("select rule, count(*) from rejected_events group by rule order by rule").fetchall()
    return {str(rule): int(count) for rule, count in counts}


def rejected_rows(engine: duckdb.DuckDBPyConnection, run_id: str, now: datetime) -> pa.Table:
    """Return the rejected events as rows of ``shop.quarantine``."""
    return engine.sql(
        "select $table as source_table, cast(to_json(r) as varchar) as row, rule, $run_id as run_id, "
        "cast($now as timestamp) as seen_at from (select * from rejected_events order by all) as r",
        params={"table": f"{c.SHOP}.{c.EVENTS}", "run_id": run_id, "now": now},
    ).to_arrow_table()


def quarantine(warehouse: Warehouse, rows: pa.Table, run_id: str) -> None:
    """Write rejected rows to ``shop.quarantine`` in place of the same run's; if they are the same, nothing changes."""
    rejected = sorted(zip(rows["row"].to_pylist(), rows["rule"].to_pylist(), strict=True))
    with warehouse.transaction() as connection:
        kept = connection.execute(
            text('select cast("row" as text), rule from shop.quarantine where run_id = :run_id'), {"run_id": run_id}
        )
        if sorted(tuple(row) for row in kept) == rejected:
            return
        connection.execute(text("delete from shop.quarantine where run_id = :run_id"), {"run_id": run_id})
        if rows.num_rows:
            warehouse.append(connection, f"{c.SHOP}.{c.QUARANTINE}", rows)
