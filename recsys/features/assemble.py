"""Joins feature tables to candidate pairs: the rows that the ranker sees, in training and in scoring alike."""

from recsys.features.tables import TABLES, feature_meanings

KEYS = ("user_idx", "item_idx")
# Features that need columns of two tables; everything else is a plain column.
CROSSED = {
    "pair_overdue_item": "pair_days_since_last / nullif(item_interval, 0)",
    "pair_category_share": "pair_lines / nullif(category_lines, 0)",
    "category_breadth": "category_items / nullif(category_lines, 0)",
    "category_overdue": "category_days_since_last / nullif(category_interval, 0)",
    "price_to_category": "item_price / nullif(category_price, 0)",
    "item_first_share": "item_first_buyers_28d / nullif(item_buyers_28d, 0)",
}


def generator_features(generators: tuple[str, ...]) -> list[str]:
    """Return the feature names that candidate generators give: score and rank of each, and the fused rank."""
    return [*(f"{name}_{kind}" for name in generators for kind in ("score", "rank")), "fused_rank"]


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
    chosen = [f"cast({CROSSED.get(name, name)} as float) as {name}" for name in feature_names(generators)]
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
