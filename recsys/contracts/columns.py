"""The columns that the canonical tables must have, and of which types."""

from dataclasses import dataclass
from typing import Final

from recsys import columns as c
from recsys.errors import ContractError
from recsys.warehouse import Warehouse

TEXT: Final = "text"
TIME: Final = "time"
NUMBER: Final = "number"
TRUTH: Final = "truth value"
JSON: Final = "JSON"
# How the engines name what counts as each. JSON may be kept as text.
_FAMILIES: Final = {
    TEXT: ("text", "varchar", "character varying", "character", "char", "uuid"),
    TIME: ("timestamp", "timestamp without time zone", "datetime"),
    NUMBER: (
        "double precision",
        "double",
        "real",
        "float",
        "numeric",
        "decimal",
        "smallint",
        "integer",
        "bigint",
        "tinyint",
    ),
    TRUTH: ("boolean",),
    JSON: ("json", "jsonb"),
}

COLUMNS: Final[dict[str, dict[str, str]]] = {
    c.USERS: {
        c.USER_ID: TEXT,
        c.BUCKET: NUMBER,
        c.CREATED_AT: TIME,
        c.IS_PERSONALISED: TRUTH,
        c.ATTRIBUTES: JSON,
    },
    c.ITEMS: {c.ITEM_ID: TEXT, c.ATTRIBUTES: JSON},
    c.ITEM_VERSIONS: {
        c.ITEM_ID: TEXT,
        c.VALID_FROM: TIME,
        c.VALID_TO: TIME,
        c.TITLE: TEXT,
        c.CATEGORY: TEXT,
        c.BRAND: TEXT,
        c.PRICE: NUMBER,
        c.AVAILABLE: TRUTH,
        c.RECOMMENDABLE: TRUTH,
    },
    c.PROMOTIONS: {
        c.ITEM_ID: TEXT,
        c.MARKET: TEXT,
        c.STARTS_AT: TIME,
        c.ENDS_AT: TIME,
        c.KNOWN_AT: TIME,
    },
    c.ITEM_RULES: {
        c.RULE_ID: TEXT,
        c.KIND: TEXT,
        c.ITEM_ID: TEXT,
        c.BRAND: TEXT,
        c.CATEGORY: TEXT,
        c.OTHER_ITEM_ID: TEXT,
        c.OTHER_BRAND: TEXT,
        c.OTHER_CATEGORY: TEXT,
        c.WEIGHT: NUMBER,
        c.PLACEMENT: TEXT,
        c.STARTS_AT: TIME,
        c.ENDS_AT: TIME,
        c.SEASON_FROM: TEXT,
        c.SEASON_TO: TEXT,
        c.KNOWN_AT: TIME,
    },
    c.CAMPAIGNS: {
        c.CAMPAIGN_ID: TEXT,
        c.USER_ID: TEXT,
        c.KIND: TEXT,
        c.STARTS_AT: TIME,
        c.ENDS_AT: TIME,
        c.KNOWN_AT: TIME,
    },
    c.COUPONS: {c.COUPON_ID: TEXT, c.CAMPAIGN_ID: TEXT, c.ITEM_ID: TEXT, c.KNOWN_AT: TIME},
    c.REDEMPTIONS: {
        c.REDEMPTION_ID: TEXT,
        c.USER_ID: TEXT,
        c.COUPON_ID: TEXT,
        c.CAMPAIGN_ID: TEXT,
        c.REDEEMED_AT: TIME,
    },
    c.SOURCES: {"has_item_history": TRUTH},
    c.EVENTS: {
        c.EVENT_ID: TEXT,
        c.USER_ID: TEXT,
        c.ITEM_ID: TEXT,
        c.EVENT_TYPE: TEXT,
        c.OCCURRED_AT: TIME,
        c.RECORDED_AT: TIME,
        c.QUANTITY: NUMBER,
        c.PRICE: NUMBER,
        c.VALUE: NUMBER,
        c.BASKET_ID: TEXT,
        c.MARKET: TEXT,
    },
}


@dataclass(frozen=True)
class Column:
    """A column as the warehouse has it: its type in the engine's words, and what that counts as."""

    name: str
    type: str

    @property
    def family(self) -> str:
        """What the type counts as; empty if none of what canonical columns have."""
        name = self.type.lower().split("(")[0].strip()
        return next((family for family, names in _FAMILIES.items() if name in names), "")


def columns_of(warehouse: Warehouse) -> dict[str, dict[str, Column]]:
    """Return the columns of the tables of schema ``shop``, by table and name, in their order."""
    rows = warehouse.query(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = :shop "
        "order by table_name, ordinal_position",
        {"shop": c.SHOP},
    )
    found: dict[str, dict[str, Column]] = {}
    for row in rows:
        found.setdefault(row["table_name"], {})[row["column_name"]] = Column(row["column_name"], row["data_type"])
    return found


def check_columns(warehouse: Warehouse) -> None:
    """Check that the canonical tables have the columns that a snapshot reads, of the types that it understands.

    Raises:
        ContractError: naming every missing column, and every one of another type.
    """
    present = columns_of(warehouse)
    if c.EVENTS not in present:
        raise ContractError(
            "The warehouse has no shop yet. Load one first: 'recsys load completejourney' (the demo), or 'recsys init "
            "NAME' for your own."
        )
    missing: list[str] = []
    mistyped: list[str] = []
    for table, columns in COLUMNS.items():
        for name, wanted in columns.items():
            column = present.get(table, {}).get(name)
            if column is None:
                missing.append(f"{c.SHOP}.{table}.{name}")
            elif column.family != wanted and (wanted, column.family) != (JSON, TEXT):
                mistyped.append(f"{c.SHOP}.{table}.{name} is {column.type}, not a {wanted} column")
    if missing:
        told = f" Besides, {'; '.join(mistyped)}." if mistyped else ""
        raise ContractError(
            f"The warehouse lacks {', '.join(missing)}. Run 'recsys migrate' to make the canonical tables, "
            f"and give the column in the source's staging SQL.{told}"
        )
    if mistyped:
        raise ContractError(
            f"The warehouse has columns of other types: {'; '.join(mistyped)}. Make them as "
            "sql/schema/0001_shop.sql has them."
        )
