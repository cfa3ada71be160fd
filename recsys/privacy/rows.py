"""Removes a customer's rows from the warehouse, in one transaction."""

import json
from typing import Any, Final

from sqlalchemy import Connection, text

from recsys import columns as c
from recsys.assets import read_sql
from recsys.errors import SourceError
from recsys.load import find_source
from recsys.privacy.subject import Subject
from recsys.warehouse import Warehouse

# By the column that says whose row it is.
TABLES: Final = (
    ("shop", "users", c.USER_ID),
    ("shop", "events", c.USER_ID),
    ("shop", "campaigns", c.USER_ID),
    ("shop", "redemptions", c.USER_ID),
    ("recsys", "consent_changes", c.USER_ID),
    ("recsys", "publication_lists", c.SUBJECT_ID),
    ("recsys", "list_rows", c.SUBJECT_ID),
)
_RAW: Final = "raw_"


def remove_rows(warehouse: Warehouse, subject: Subject) -> dict[str, int]:
    """Remove a customer from the shop's tables, its raw ones, the quarantine and all publications.

    Args:
        warehouse: an open, migrated warehouse.
        subject: the customer.

    Returns:
        The number of rows removed by table; tables without any are left out.
    """
    removed: dict[str, int] = {}
    with warehouse.transaction() as connection:
        connection.execute(text(read_sql("privacy", "shrink_publications.sql")), {"user_id": subject.user_id})
        for schema, table, column in (*TABLES, *_raw_tables(warehouse, connection)):
            sql = f'delete from {schema}."{table}" where cast("{column}" as varchar) = :user_id'
            count = int(connection.execute(text(sql), {"user_id": subject.user_id}).rowcount)
            removed |= {f"{schema}.{table}": count} if count else {}
        count = _from_quarantine(warehouse, connection, subject)
        removed |= {"shop.quarantine": count} if count else {}
    return removed


def count_rows(warehouse: Warehouse, subject: Subject) -> int:
    """Return how many rows of the platform's tables name a customer."""
    found = 0
    for schema, table, column in TABLES:
        sql = f"select count(*) as found from {schema}.{table} where {column} = :user_id"
        found += int(warehouse.query(sql, {"user_id": subject.user_id})[0]["found"])
    return found


def known_customers(warehouse: Warehouse) -> list[str]:
    """Return the ids of all customers of whom the platform's tables hold rows."""
    return [str(row["user_id"]) for row in warehouse.query(read_sql("privacy", "known_customers.sql"))]


def rewrite_storage(warehouse: Warehouse) -> None:
    """Give back the space of removed rows where a server keeps them for a while: PostgreSQL's dead rows."""
    for schema, table, _ in (*TABLES, ("shop", "quarantine", ""), ("recsys", "erasures", "")):
        warehouse.vacuum(f"{schema}.{table}")


def customer_columns(warehouse: Warehouse, connection: Connection) -> set[str]:
    """Return the names that columns of customers have, in the shop's own files as well."""
    found = {c.USER_ID, c.SUBJECT_ID}
    for row in warehouse.query("select distinct source from shop.sources", connection=connection):
        try:
            source = find_source(row["source"])
        except SourceError:
            continue  # its folder is not on this machine; the names that every source has are looked at
        found |= {table.customer for table in source.file.tables.values() if table.customer}
        found |= {source.file.customers.column} if source.file.customers else set()
    return found


def _raw_tables(warehouse: Warehouse, connection: Connection) -> list[tuple[str, str, str]]:
    names = customer_columns(warehouse, connection)
    rows = warehouse.query(read_sql("privacy", "raw_columns.sql"), connection=connection)
    return [
        (row["table_schema"], row["table_name"], row["column_name"])
        for row in rows
        if row["table_schema"].startswith(_RAW) and row["column_name"] in names
    ]


def _from_quarantine(warehouse: Warehouse, connection: Connection, subject: Subject) -> int:
    """Remove rejected rows that name the customer where a customer is named."""
    names = customer_columns(warehouse, connection)
    rows = warehouse.query(read_sql("privacy", "quarantine.sql"), connection=connection)
    own = sorted({row["row_text"] for row in rows if _is_of(row["row_text"], names, subject)})
    removed = 0
    for row_text in own:
        sql = text(read_sql("privacy", "remove_quarantine.sql"))
        removed += int(connection.execute(sql, {"row_text": row_text}).rowcount)
    return removed


def _is_of(row_text: str, names: set[str], subject: Subject) -> bool:
    if not any(json.dumps(name)[1:-1] in row_text or name in row_text for name in subject.names):
        return False
    row: Any = json.loads(row_text)
    values = [row.get(name) for name in names] if isinstance(row, dict) else []
    return any(value is not None and str(value).strip() in subject.names for value in values)
