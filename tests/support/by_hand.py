"""A shop of nine purchases, and every feature of it worked out by hand."""

from collections.abc import Mapping
from datetime import datetime

from tests.support.planted import Event, Promotion, Version, days

CUT = datetime(2024, 6, 1)  # 152 days after the products were first seen
KEYS = {"cut_id", "user_idx", "user_market", "item_idx", "category_no", "family_no", "brand_no"}
ITEMS = (
    Version("A", category="D > G > x", brand="X"),
    Version("B", category="D > G > x", brand="Y"),
    Version("C", category="D > G > y", brand="X"),
)


def bought(user: str, item: str, age: float, quantity: float, value: float) -> Event:
    return Event(user, item, CUT - days(age), quantity=quantity, value=value, basket=f"{user} {age}")


EVENTS = (
    bought("ann", "A", 70, 1, 2),
    bought("ann", "B", 70, 2, 6),
    bought("ann", "A", 40, 3, 6),
    bought("ann", "A", 10, 1, 3),
    bought("ann", "C", 10, 1, 5),
    bought("ann", "B", 2, 1, 3),
    bought("bob", "A", 5, 2, 4),
    bought("bob", "C", 50, 1, 4),
    # None of what follows counts: taken back, known too late, later, not a purchase, a guest's.
    bought("ann", "C", 20, 9, 99),
    Event("ann", "C", CUT - days(19), kind="return"),
    Event("bob", "B", CUT - days(3), recorded=CUT, value=99),
    Event("bob", "B", CUT, value=99),
    Event("ann", "A", CUT - days(1), kind="view"),
    Event(None, "A", CUT - days(1), value=99),
    Event("ann", "A", CUT + days(100)),
)

PROMOTIONS = (
    Promotion("A", "store 1", CUT - days(3), CUT + days(4), CUT - days(5)),
    Promotion("A", "store 2", CUT - days(20), CUT - days(13), CUT - days(20)),
    # Too long ago, known too late, begun too late.
    Promotion("C", "store 1", CUT - days(100), CUT - days(90), CUT - days(100)),
    Promotion("B", "store 1", CUT - days(3), CUT + days(4), CUT),
    Promotion("C", "store 1", CUT, CUT + days(7), CUT - days(5)),
)


def decay(half_life: float, *ages: float) -> float:
    return sum(0.5 ** (age / half_life) for age in ages)


def pair(
    lines: int, last: float, first: float, lines_28d: int, ages: tuple[float, ...], **rest: float | None
) -> Mapping[str, float | None]:
    return {
        "pair_lines": lines,
        "pair_days_since_last": last,
        "pair_days_since_first": first,
        "pair_lines_28d": lines_28d,
        "pair_lines_84d": lines,
        **{f"pair_decay_{half}": decay(half, *ages) for half in (14, 30, 60, 120)},
        **rest,
    }


def group(
    prefix: str, lines: int, items: int, last: float, lines_28d: int, ages: tuple[float, ...], share: float
) -> dict[str, float | None]:
    return {
        f"{prefix}_lines": lines,
        f"{prefix}_items": items,
        f"{prefix}_days_since_last": last,
        f"{prefix}_lines_28d": lines_28d,
        f"{prefix}_decay_60": decay(60, *ages),
        f"{prefix}_share": share,
    }


def category(interval: float | None, new_items: int, price: float) -> dict[str, float | None]:
    return {"category_interval": interval, "category_new_items_112d": new_items, "category_price": price}


def market(buyers: int, rate: float, lift: float, promoted: int) -> dict[str, float | None]:
    return {
        "market_buyers_84d": buyers,
        "market_rate": rate,
        "market_lift": lift,
        "market_promoted": promoted,
    }


def item(*values: float | None) -> Mapping[str, float | None]:
    names = (
        "item_lines",
        "item_buyers",
        "item_buyers_7d",
        "item_buyers_28d",
        "item_buyers_14d",
        "item_first_buyers_28d",
        "item_days_since_last",
        "item_trend",
        "item_repeat_share",
        "item_lines_per_buyer",
        "item_interval",
        "item_age",
        "item_price",
        "item_price_change",
        "item_price_week",
        "item_category_share",
    )
    return dict(zip(names, values, strict=True))


EXPECTED: dict[str, dict[tuple[str, ...], Mapping[str, float | None]]] = {
    "user": {
        ("ann",): {
            "user_lines": 6,
            "user_baskets": 4,
            "user_items": 3,
            "user_days_since_last": 2,
            "user_days_since_first": 70,
            "user_basket_interval": (70 - 2) / 3,
            "user_basket_size": 6 / 4,
            "user_repeat_share": 1 - 3 / 6,
            "user_lines_28d": 3,
            "user_baskets_28d": 2,
            "user_value_per_line": (2 + 6 + 6 + 3 + 5 + 3) / 6,
            "user_new_items_84d": 3,
        },
        ("bob",): {
            "user_lines": 2,
            "user_baskets": 2,
            "user_items": 2,
            "user_days_since_last": 5,
            "user_days_since_first": 50,
            "user_basket_interval": 45,
            "user_basket_size": 1,
            "user_repeat_share": 0,
            "user_lines_28d": 1,
            "user_baskets_28d": 1,
            "user_value_per_line": 4,
            "user_new_items_84d": 2,
        },
    },
    "item": {
        # 28 days: ann and bob; the 28 days before: ann; ann's gaps are 30 and 30 days; category: A 2, B 1 buyers
        ("A",): item(4, 2, 1, 2, 2, 1, 5, 3 / 2, 1 / 2, 2, 30, 152, 15 / 7, (7 / 3) / (15 / 7), 14 / 15, 2 / 3),
        ("B",): item(2, 1, 1, 1, 1, 0, 2, 2 / 1, 1, 2, 68, 152, 9 / 3, 1, 1, 1 / 3),
        ("C",): item(2, 2, 0, 1, 1, 1, 10, 2 / 2, 0, 1, None, 152, 9 / 2, 5 / 4.5, None, 1),
    },
    "promotion": {("A",): {"item_promoted_markets": 1, "item_promotions_56d": 2}},
    # both customers of these days bought in store 1
    "market_item": {
        ("store 1", "A"): market(2, 2 / 7, 2 / 7, 1),
        ("store 1", "B"): market(1, 1 / 7, (1 / 7) / (1 / 2), 0),
        ("store 1", "C"): market(2, 2 / 7, 2 / 7, 0),
    },
    "user_item": {
        ("ann", "A"): pair(
            3,
            10,
            70,
            1,
            (70, 40, 10),
            pair_interval=30,
            pair_overdue=10 / 30,
            pair_interval_median=30,
            pair_overdue_median=10 / 30,
            pair_basket_share=3 / 4,
            pair_quantity=5 / 3,
            pair_in_last_basket=0,
            pair_order=1,
        ),
        ("ann", "B"): pair(
            2,
            2,
            70,
            1,
            (70, 2),
            pair_interval=68,
            pair_overdue=2 / 68,
            pair_interval_median=68,
            pair_overdue_median=2 / 68,
            pair_basket_share=2 / 4,
            pair_quantity=3 / 2,
            pair_in_last_basket=1,
            pair_order=2,
        ),
        ("ann", "C"): pair(
            1,
            10,
            10,
            1,
            (10,),
            pair_interval=None,
            pair_overdue=None,
            pair_interval_median=None,
            pair_overdue_median=None,
            pair_basket_share=1 / 2,
            pair_quantity=1,
            pair_in_last_basket=0,
            pair_order=3,
        ),
        ("bob", "A"): pair(
            1,
            5,
            5,
            1,
            (5,),
            pair_interval=None,
            pair_overdue=None,
            pair_interval_median=None,
            pair_overdue_median=None,
            pair_basket_share=1,
            pair_quantity=2,
            pair_in_last_basket=1,
            pair_order=1,
        ),
        ("bob", "C"): pair(
            1,
            50,
            50,
            0,
            (50,),
            pair_interval=None,
            pair_overdue=None,
            pair_interval_median=None,
            pair_overdue_median=None,
            pair_basket_share=1 / 2,
            pair_quantity=1,
            pair_in_last_basket=0,
            pair_order=2,
        ),
    },
    "user_category": {
        # ann's baskets with it are 70, 40, 10 and 2 days old
        ("ann", "A"): category(30, 2, 20 / 8) | group("category", 5, 2, 2, 2, (70, 70, 40, 10, 2), 5 / 6),
        ("ann", "C"): category(None, 1, 5) | group("category", 1, 1, 10, 1, (10,), 1 / 6),
        ("bob", "A"): category(None, 1, 2) | group("category", 1, 1, 5, 1, (5,), 1 / 2),
        ("bob", "C"): category(None, 1, 4) | group("category", 1, 1, 50, 0, (50,), 1 / 2),
    },
    "user_family": {
        ("ann", "A"): group("family", 6, 3, 2, 3, (70, 70, 40, 10, 10, 2), 1),
        ("bob", "A"): group("family", 2, 2, 5, 1, (5, 50), 1),
    },
    "user_brand": {
        ("ann", "A"): group("brand", 4, 2, 10, 2, (70, 40, 10, 10), 4 / 6),
        ("ann", "B"): group("brand", 2, 1, 2, 1, (70, 2), 2 / 6),
        ("bob", "A"): group("brand", 2, 2, 5, 1, (5, 50), 1),
    },
}
