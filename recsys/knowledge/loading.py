"""Rules from a file into the warehouse, whole or not at all, and back for a person to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection

from recsys import columns as c
from recsys.knowledge.contradictions import Row
from recsys.knowledge.files import COLUMNS, Known, read_rows
from recsys.knowledge.rules import Period
from recsys.knowledge.sides import STEP
from recsys.moments import LATEST
from recsys.settings import Settings
from recsys.snapshot import resolve_as_of
from recsys.warehouse import Warehouse

TABLE = f"{c.SHOP}.{c.ITEM_RULES}"
_TIMES = (c.STARTS_AT, c.ENDS_AT, c.KNOWN_AT)
SCHEMA = pa.schema(
    [
        (name, pa.timestamp("us") if name in _TIMES else pa.float64() if name == c.WEIGHT else pa.string())
        for name in COLUMNS
    ]
)


@dataclass(frozen=True)
class Loaded:
    """What a load of rules did.

    Attributes:
        rows: rules of the file.
        removed: rules that stood there before and are gone.
    """

    rows: int
    removed: int


def next_moment(warehouse: Warehouse, settings: Settings, now: datetime) -> datetime:
    """Return the moment that the next publication is of, if it is of the latest: just after the newest event.

    Raises:
        ContractError: if the shop has no event.
    """
    return resolve_as_of(warehouse, settings, LATEST, now)


def load_rules(
    warehouse: Warehouse, settings: Settings, path: Path, *, append: bool, created_by: str, now: datetime
) -> Loaded:
    """Load a CSV file of rules in one transaction.

    Where the file doesn't say since when a rule is known, that is now, or the newest event if the shop's data lags (the
    demo's ends in 2017): the next publication keeps to it, and no cut of before learns from it.

    Args:
        warehouse: with the shop's tables.
        settings: whose placements rules may name.
        path: the file; see :mod:`recsys.knowledge.files` for its columns.
        append: keep the rules that are there; else the file takes their place.
        created_by: whose rules they are where the file doesn't say.
        now: the moment.

    Raises:
        SourceError: naming every line and column that can't be used; then nothing changed.
        ContractError: if the shop has no event.
    """
    known_at = min(now, next_moment(warehouse, settings, now) - timedelta(seconds=1))
    with warehouse.transaction() as connection:
        known = _known(warehouse, settings, connection, append)
        rows = read_rows(path, known, {c.CREATED_BY: created_by, c.KNOWN_AT: known_at})
        removed = 0
        if not append:
            counted = warehouse.query(f"select count(*) as rules from {TABLE}", connection=connection)
            removed = int(counted[0]["rules"])
            warehouse.run(connection, f"delete from {TABLE}")
        if rows:
            warehouse.append(connection, TABLE, pa.Table.from_pylist(rows, SCHEMA))
    return Loaded(len(rows), removed)


def written_rules(warehouse: Warehouse, *, connection: Connection | None = None) -> list[Row]:
    """Return the rules as they stand in the warehouse, by their names."""
    return warehouse.query(f"select {', '.join(COLUMNS)} from {TABLE} order by rule_id", connection=connection)


def _known(warehouse: Warehouse, settings: Settings, connection: Connection, append: bool) -> Known:
    def values(sql: str) -> frozenset[str]:
        return frozenset(str(value) for row in warehouse.query(sql, connection=connection) for value in row.values())

    paths = values("select distinct category from shop.items where category is not null")
    return Known(
        items=values("select item_id from shop.items"),
        brands=values("select distinct brand from shop.items where brand is not null"),
        categories=frozenset(step for path in paths for step in _steps(path)),
        placements=tuple(sorted(settings.placements)),
        rules=tuple(written_rules(warehouse, connection=connection)) if append else (),
    )


def _steps(path: str) -> list[str]:
    return list(accumulate(path.split(STEP), lambda above, step: above + STEP + step))


def holds(row: Mapping[str, Any], at: datetime) -> bool:
    """Tell whether a rule of the warehouse is used at a moment."""
    return bool(row[c.KNOWN_AT] < at) and Period.of(row).holds(at)
