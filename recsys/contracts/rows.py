"""Rules about rows: each table's rows get the set of rules that they break, in one pass over it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from recsys import columns as c
from recsys.assets import read_sql
from recsys.contracts.report import Failure
from recsys.contracts.rules import QUARANTINE, Rule
from recsys.settings import Settings

# In an order in which each may ask for the valid rows of those before.
JUDGED: Final = (c.CAMPAIGNS, c.COUPONS, c.REDEMPTIONS)
"""Tables whose rows are judged though no snapshot holds them."""
TABLES: Final = (c.USERS, c.ITEMS, c.ITEM_VERSIONS, c.PROMOTIONS, c.ITEM_RULES, *JUDGED, c.EVENTS)
# What an example is told by. A customer's id has no place in a report.
_KEYS: Final = {
    c.ITEMS: (c.ITEM_ID,),
    c.ITEM_VERSIONS: (c.ITEM_ID, c.VALID_FROM),
    c.PROMOTIONS: (c.ITEM_ID, c.STARTS_AT),
    c.ITEM_RULES: (c.RULE_ID,),
    c.CAMPAIGNS: (c.CAMPAIGN_ID, c.STARTS_AT),
    c.COUPONS: (c.COUPON_ID, c.CAMPAIGN_ID, c.ITEM_ID),
    c.REDEMPTIONS: (c.REDEMPTION_ID,),
    c.EVENTS: (c.EVENT_ID,),
}
_HELD_ROWS: Final = 65_536  # of a range of buckets, before they are written
_BUCKETS_A_FILE: Final = 256
_HIDDEN: Final = (c.USER_ID,)
# Columns by which rules ask: no part of the row.
_ASKED: Final = {
    c.USERS: ("nth",),
    c.ITEMS: ("nth",),
    c.ITEM_VERSIONS: ("nth", "has_item"),
    c.CAMPAIGNS: ("nth", "has_user"),
    c.COUPONS: ("nth", "has_item"),
    c.REDEMPTIONS: ("nth", "has_user"),
    c.EVENTS: (
        "has_item",
        "has_user",
        "is_bot",
        "is_busy",
        "is_flooding",
        "is_repeating",
        "is_pushing",
        "is_double",
        "nth_of_id",
    ),
}


def bits_of(rules: Iterable[Rule], table: str) -> dict[str, int]:
    """Return the bit that stands for each rule about rows of a table, by its id, in the order of the rules."""
    mine = [rule.id for rule in rules if rule.table == table and rule.broken]
    return {name: 1 << number for number, name in enumerate(mine)}


def judge_rows(
    engine: duckdb.DuckDBPyConnection,
    settings: Settings,
    rules: Sequence[Rule],
    latest_allowed: datetime,
    folder: Path | None = None,
) -> None:
    """Make ``checked_T``, ``valid_T`` and ``rejected_T`` from ``extracted_T``, for every table T.

    ``checked_T`` is ``extracted_T`` with ``broken`` (the bits of the rules that the row breaks) and ``rule`` (what the
    first one says that puts it into quarantine, null if none does).

    Args:
        engine: has ``extracted_T``.
        settings: limits.
        rules: that are in force.
        latest_allowed: events later than this lie in the future.
        folder: where checked events are kept as files by ranges of buckets, so that who asks for a range reads no
            other; in memory if None.
    """
    _lay_limits(engine, settings, latest_allowed)
    engine.execute(read_sql("contracts", "suspects.sql"))
    for table in TABLES:
        mine = [rule for rule in rules if rule.table == table and rule.broken]
        bits = bits_of(rules, table)
        flags = " | ".join(f"(case when {rule.broken} then {bits[rule.id]} else 0 end)" for rule in mine) or "0"
        says = " ".join(
            f"when broken & {bits[rule.id]} <> 0 then '{rule.says.replace(chr(39), chr(39) * 2)}'"
            for rule in mine
            if rule.severity == QUARANTINE
        )
        asked = ", ".join(_ASKED.get(table, ()))
        shown = f"* exclude ({asked})" if asked else "*"
        checked = (
            f"with looked_at as ({read_sql('contracts', f'{table}.sql')}), "
            f"flagged as (select looked_at.*, {flags} as broken from looked_at cross join contract_limits as limits) "
            f"select {shown}, case {says} else null end as rule from flagged"
        )
        if table == c.EVENTS and folder is not None:
            _keep_events(engine, checked, folder)
        else:
            # So many promotions are best read twice: the others are kept.
            kind = "view" if table == c.PROMOTIONS else "table"
            engine.execute(f"create temp {kind} checked_{table} as {checked}")
        bucket = f", {c.BUCKET}" if table == c.EVENTS else ""
        engine.execute(
            f"create temp view valid_{table} as select * exclude (broken, rule) from checked_{table} where rule is null"
        )
        engine.execute(
            f"create temp view rejected_{table} as select * exclude (broken{bucket}) from checked_{table} "
            "where rule is not null"
        )


def _keep_events(engine: duckdb.DuckDBPyConnection, checked: str, folder: Path) -> None:
    """Make ``checked_events`` a view of files below a folder, one or some a range of buckets."""
    engine.execute(f"set partitioned_write_flush_threshold = {_HELD_ROWS}")
    target = str(folder).replace("'", "''")
    engine.execute(
        f"copy (select *, {c.BUCKET} // {_BUCKETS_A_FILE} as part from ({checked}) as checked) to '{target}' "
        "(format parquet, partition_by (part), compression 'lz4_raw')"
    )
    files = sorted(str(path) for path in folder.rglob("*.parquet"))
    if files:
        engine.from_parquet(files, hive_partitioning=False).create_view("checked_events")
    else:
        engine.execute(f"create temp table checked_events as {checked}")


def row_failures(
    engine: duckdb.DuckDBPyConnection, rules: Sequence[Rule], examples: int
) -> tuple[list[Failure], dict[str, int], dict[str, int]]:
    """Count what :func:`judge_rows` found.

    Returns:
        The rules that rows break; the rows of each table; the rows rejected, by what the rule says.
    """
    failures: list[Failure] = []
    rows: dict[str, int] = {}
    rejected: dict[str, int] = {}
    for table in TABLES:
        bits = bits_of(rules, table)
        counted = engine.execute(
            f"select broken, rule, count(*) from checked_{table} group by broken, rule order by rule, broken"
        ).fetchall()
        rows[table] = sum(count for _, _, count in counted)
        for _, says, count in counted:
            if says is not None:
                rejected[says] = rejected.get(says, 0) + count
        for rule in rules:
            bit = bits.get(rule.id, 0) if rule.table == table else 0
            count = sum(count for broken, _, count in counted if broken & bit)
            if count:
                failures.append(Failure(rule, count, examples=_examples(engine, rule, bit, examples)))
    return failures, rows, dict(sorted(rejected.items()))


def rejected_rows(engine: duckdb.DuckDBPyConnection, run_id: str, now: datetime) -> pa.Table:
    """Return the rejected rows of all tables as rows of ``shop.quarantine``."""
    parts = " union all ".join(
        f"select '{c.SHOP}.{table}' as source_table, cast(to_json(r) as varchar) as row, rule "
        f"from (select {_writable(engine, table)} from rejected_{table}) as r"
        for table in TABLES
    )
    return engine.sql(
        "select distinct source_table, row, rule, $run_id as run_id, cast($now as timestamp) as seen_at "
        f"from ({parts}) as rejected order by all",
        params={"run_id": run_id, "now": now},
    ).to_arrow_table()


def _writable(engine: duckdb.DuckDBPyConnection, table: str) -> str:
    """Return what selects rejected rows of a table so that JSON can hold them: it has no NaN and no infinity."""
    relation = engine.sql(f"from rejected_{table}")
    floats = [name for name, kind in zip(relation.columns, relation.types, strict=True) if kind in ("DOUBLE", "FLOAT")]
    named = ", ".join(
        f'case when isfinite("{name}") then to_json("{name}") else to_json(cast("{name}" as varchar)) end as "{name}"'
        for name in floats
    )
    return f"* replace ({named})" if named else "*"


def _lay_limits(engine: duckdb.DuckDBPyConnection, settings: Settings, latest_allowed: datetime) -> None:
    chosen = settings.contracts
    values: dict[str, object] = {
        "latest_allowed": latest_allowed,
        "event_types": list(c.EVENT_TYPES),
        "rating_min": settings.rating_range[0],
        "rating_max": settings.rating_range[1],
        "max_user_events": settings.max_user_events,
        "max_user_events_a_day": chosen.max_user_events_a_day,
        "period_days": chosen.period_days,
        "max_period_events": chosen.max_period_events,
        "flood_factor": chosen.flood_factor,
        "max_repeats": chosen.max_repeats,
        "repeat_factor": chosen.repeat_factor,
        "pushed_customers": chosen.pushed_customers,
        "pushed_repeats": chosen.pushed_repeats,
        "pushed_share": chosen.pushed_share,
        "max_doubled_share": chosen.max_doubled_share,
        "min_day_rows": chosen.min_day_rows,
    }
    names = ", ".join(f"${name} as {name}" for name in values)
    engine.execute(f"create temp table contract_limits as select {names}", values)


def _examples(engine: duckdb.DuckDBPyConnection, rule: Rule, bit: int, count: int) -> tuple[str, ...]:
    keys = _KEYS.get(rule.table, ())
    shown = dict.fromkeys((*keys, *((rule.column,) if rule.column and rule.column not in _HIDDEN else ())))
    if not shown or not count:
        return ()
    names = ", ".join(shown)
    found = engine.execute(
        f"select distinct {names} from checked_{rule.table} where broken & {bit} <> 0 order by all limit {count}"
    ).fetchall()
    return tuple(", ".join(f"{name} {value}" for name, value in zip(shown, row, strict=True)) for row in found)
