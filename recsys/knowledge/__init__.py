"""What a shop writes down about its products: what goes with what, what replaces what, what never stands together.

Rules stand in ``shop.item_rules``. A snapshot holds those known before its moment, the generator ``knowledge``
proposes by them, and shaping keeps to them.
"""

from recsys.knowledge.rules import KINDS, Period, Rule, Side, read_rules, rules_in
from recsys.knowledge.sides import Products, match_sides

__all__ = [
    "KINDS",
    "Period",
    "Products",
    "Rule",
    "Side",
    "match_sides",
    "read_rules",
    "rules_in",
]
