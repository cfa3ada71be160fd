"""What tests of several rooms say about loaded shops."""

import json
from typing import Any

from recsys.settings import Settings
from recsys.warehouse import open_warehouse

COMPLETEJOURNEY = "completejourney"
SAMPLE_CUSTOMERS = 60
CANONICAL = ("users", "items", "item_versions", "events", "promotions", "campaigns", "coupons", "redemptions")


def query(settings: Settings, sql: str) -> list[dict[str, Any]]:
    """Return the rows of one query."""
    with open_warehouse(settings, purpose="a test") as warehouse:
        return warehouse.query(sql)


def content(settings: Settings, *tables: str) -> dict[str, list[str]]:
    """Return all rows of the canonical tables as sorted text, so that two loads can be compared."""
    with open_warehouse(settings, purpose="a test") as warehouse:
        return {
            table: sorted(
                json.dumps(row, default=str, sort_keys=True) for row in warehouse.query(f"select * from shop.{table}")
            )
            for table in tables or CANONICAL
        }
