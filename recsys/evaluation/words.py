"""Words of the report: what models, placements and figures are called for a person who sells things."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from recsys.evaluation import roles

MODELS: Final = {
    "ranker": "New model",
    "shaped": "New model, shaped",
    "champion": "Model now live",
    "logistic": "Logistic regression",
    "tree": "Decision tree",
    "forest": "Random forest",
    "fused_rrf": "Generators fused by rank",
    "fused_scores": "Generators fused by score",
    "fused_rules": "Generators fused by rules",
    "fused_union": "Generators in turns",
    "popularity": "Best sellers",
    "popularity_all": "Best sellers of all time",
    "repurchase": "Bought before",
    "item_cf": "Similar products (item CF)",
    "user_cf": "Similar customers (user CF)",
    "transitions": "What follows what",
    "co_purchase": "Bought together",
    "als": "Taste factors (ALS)",
    "bpr": "Taste factors (BPR)",
    "ease": "Linear model of products (EASE)",
    "mf": "Predicted ratings (MF)",
}
ROLES: Final = {
    roles.NEW: "New model",
    roles.SHAPING: "New model, shaped",
    roles.LIVE: "Model now live",
    roles.BASELINE_RANKER: "Baseline rankers",
    roles.FUSION: "Ways to fuse the generators",
    roles.SINGLE: "Single generators",
}
PLACEMENTS: Final = {
    "for_you": "the products that a customer is most likely to buy next, repeat purchases included",
    "discover": "only products that the customer has never bought or looked at before",
}
FIGURES: Final = {
    "ndcg": ("NDCG", "Quality of the list: bought products count, more so near the top. 1 is perfect."),
    "hit_rate": ("Hit rate", "Share of customers who bought at least one product of the list."),
    "precision": ("Precision", "Share of the list that the customer bought."),
    "recall": ("Recall", "Share of what the customer bought that was in the list."),
    "map": ("MAP", "Like precision, with more weight near the top."),
    "mrr": ("MRR", "One divided by the place of the first bought product, averaged."),
    "serendipity": ("Serendipity", "Share of the ten that was bought and isn't among the best sellers."),
    "coverage": ("Coverage", "Share of the range that was shown to anybody."),
    "exposure_gini": (
        "Exposure Gini",
        "How unevenly the range is shown: 0, every product alike; 1, one product alone.",
    ),
    "novelty": (
        "Novelty",
        "How little known the ten are, in bits: one more is half as many customers who had bought it.",
    ),
    "diversity_category": ("Diversity by category", "Share of pairs among the ten that are of different categories."),
    "diversity_brand": ("Diversity by brand", "Share of pairs among the ten that are of different brands."),
    "calibration": (
        "Calibration",
        "How far the ten's departments are from those the customer buys from (KL divergence): 0 fits perfectly.",
    ),
}
NEITHER_GOOD_NOR_BAD: Final = frozenset(
    {"exposure_gini", "novelty", "diversity_category", "diversity_brand", "calibration"}
)
MISSING: Final = "\u2013"
BETTER, WORSE, EVEN, FEW = "better", "worse", "no clear difference", "too few customers to say"
HIGHER, LOWER = "higher", "lower"


def model(name: str) -> str:
    """Return what a model is called; its own name if there is no other."""
    return MODELS.get(name, name.replace("_", " ").capitalize())


def placement(name: str) -> str:
    """Return a placement's name as a heading."""
    return name.replace("_", " ").capitalize()


def figure(name: str) -> str:
    """Return what a figure is called, with its list length if it has one: ``ndcg@10`` is NDCG@10."""
    base, at, k = name.partition("@")
    return FIGURES[base][0] + at + k if base in FIGURES else name


def day(moment: str | None) -> str:
    """Return an ISO moment as a day, with the time only if it isn't midnight."""
    if not moment:
        return "unknown"
    at = datetime.fromisoformat(moment)
    text = f"{at.day} {at:%B %Y}"
    return text if (at.hour, at.minute) == (0, 0) else f"{text} {at:%H:%M}"


def score(value: float | None) -> str:
    """Return a figure with three digits."""
    return MISSING if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    """Return a difference, with a real minus sign."""
    return f"{value:+.4f}".replace("-", "\u2212")


def bounds(found: Mapping[str, Any]) -> str:
    """Return the ends of an interval."""
    if found["low"] is None:
        return "no interval"
    return f"{signed(found['low'])} to {signed(found['high'])}"


def interval(found: Mapping[str, Any]) -> str:
    """Return a difference and its interval."""
    return f"{signed(found['difference'])} ({bounds(found)})"


def outcome(found: Mapping[str, Any]) -> str:
    """Say what an interval shows: it lies above zero, below, or holds zero.

    More is better of most figures; of those that are neither good nor bad by themselves it is only higher or lower.
    """
    if found["low"] is None:
        return FEW
    is_judged = found["metric"].partition("@")[0] not in NEITHER_GOOD_NOR_BAD
    if found["low"] > 0:
        return BETTER if is_judged else HIGHER
    if found["high"] < 0:
        return WORSE if is_judged else LOWER
    return EVEN


def count(value: float) -> str:
    """Return a whole number with thousands set apart."""
    return f"{int(value):,}"


def confidence(found: Mapping[str, Any]) -> str:
    """Return how sure an interval is, in percent."""
    return f"{100 * found.get('confidence', 0.95):g} %"
