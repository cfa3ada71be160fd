"""Removes a customer's rows from the warehouse, in one transaction."""

from typing import Final

from sqlalchemy import text

from recsys import columns as c
from recsys.assets import read_sql
from recsys.load import forget_raw
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
        for schema, table, column in TABLES:
            sql = f"delete from {schema}.{table} where {column} = :user_id"
            count = int(connection.execute(text(sql), {"user_id": subject.user_id}).rowcount)
            removed |= {f"{schema}.{table}": count} if count else {}
        return removed | forget_raw(warehouse, connection, subject.names)


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
