"""Joins feature tables to candidate pairs: the rows that the ranker sees, in training and in scoring alike."""

from dataclasses import dataclass
from typing import Final

from recsys.features.tables import TABLES, feature_meanings

KEYS = ("user_idx", "item_idx")
FUSED_RANK: Final = "fused_rank"


@dataclass(frozen=True)
class Crossed:
    """A feature of two columns, mostly of two tables: one over the other, and its line of meaning."""

    numerator: str
    denominator: str
    meaning: str

    @property
    def sql(self) -> str:
        """The quotient, null over zero."""
        return f"{self.numerator} / nullif({self.denominator}, 0)"


# Everything else is a plain column.
CROSSED: Final = {
    "pair_overdue_item": Crossed(
        "pair_days_since_last",
        "item_interval",
        "days since the customer bought the product, in the product's own intervals between two purchases",
    ),
    "pair_category_share": Crossed(
        "pair_lines",
        "category_lines",
        "the product's part of the customer's purchase lines in its category",
    ),
    "category_breadth": Crossed(
        "category_items",
        "category_lines",
        "different products among the customer's lines in the category: near 1, they try another each time",
    ),
    "category_overdue": Crossed(
        "category_days_since_last",
        "category_interval",
        "days since the customer bought from the category, in their own intervals between two such purchases",
    ),
    "price_to_category": Crossed(
        "item_price",
        "category_price",
        "the product's price against what the customer pays in its category",
    ),
    "item_first_share": Crossed(
        "item_first_buyers_28d",
        "item_buyers_28d",
        "part of the product's buyers of the last 28 days who bought it for the first time",
    ),
}


def generator_features(generators: tuple[str, ...]) -> list[str]:
    """Return the feature names that candidate generators give: score and rank of each, and the fused rank."""
    return [*(f"{name}_{kind}" for name in generators for kind in ("score", "rank")), FUSED_RANK]


def feature_names(generators: tuple[str, ...]) -> list[str]:
    """Return every feature in the order of the ranker's columns."""
    return [*feature_meanings(), *CROSSED, *generator_features(generators)]


def assemble(generators: tuple[str, ...]) -> str:
    """Return the query of candidates with all features, ordered by customer and fused rank.

    The connection it runs on has ``candidates`` (user_idx, item_idx, the generators' scores and ranks, fused_rank),
    ``item_groups``, and a view ``features_<table>`` for each feature table.
    """
    joins = [
        f"left join features_{name} on " + " and ".join(f"pairs.{key} = features_{name}.{key}" for key in keys)
        for name, keys in TABLES.items()
    ]
    columns = {name: CROSSED[name].sql if name in CROSSED else name for name in feature_names(generators)}
    chosen = [f"cast({column} as float) as {name}" for name, column in columns.items()]
    return f"""
        with pairs as (
            select
                candidates.*, item_groups.category_no, item_groups.family_no, item_groups.brand_no,
                customers.user_market
            from candidates
            inner join item_groups using (item_idx)
            left join features_user as customers using (user_idx)
        )
        select pairs.user_idx, pairs.item_idx, {", ".join(chosen)}
        from pairs
        {" ".join(joins)}
        order by pairs.user_idx, pairs.fused_rank
    """
