"""Words of the report: what models, placements and figures are called for a person who sells things."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

MODELS: Final = {
    "ranker": "New model (ranker)",
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
    "als": "Taste factors (ALS)",
    "bpr": "Taste factors (BPR)",
    "ease": "Linear model of products (EASE)",
}
PLACEMENTS: Final = {
    "for_you": "the products that a customer is most likely to buy next, repeat purchases included",
    "discover": "only products that the customer has never bought or looked at before",
}
FIGURES: Final = {
    "ndcg@10": (
        "NDCG@10",
        "Quality of the ten shown: bought products count, more so near the top. 1 is perfect.",
    ),
    "hit_rate@10": ("Hit rate", "Share of customers who bought at least one of the ten."),
    "precision@10": ("Precision", "Share of the ten that the customer bought."),
    "recall@10": ("Recall", "Share of what the customer bought that was among the ten."),
    "map@10": ("MAP", "Like precision, with more weight near the top."),
    "mrr@10": ("MRR", "One divided by the place of the first bought product, averaged."),
    "coverage": ("Coverage", "Share of the range that was shown to anybody."),
}
MISSING: Final = "\u2013"
BETTER, WORSE, EVEN, FEW = "better", "worse", "no clear difference", "too few customers to say"


def model(name: str) -> str:
    """Return what a model is called; its own name if there is no other."""
    return MODELS.get(name, name.replace("_", " "))


def placement(name: str) -> str:
    """Return a placement's name as a heading."""
    return name.replace("_", " ").capitalize()


def day(moment: str | None) -> str:
    """Return an ISO moment as a day, with the time only if it isn't midnight."""
    if not moment:
        return "unknown"
    at = datetime.fromisoformat(moment)
    text = f"{at.day} {at:%B %Y}"
    return text if (at.hour, at.minute) == (0, 0) else f"{text} {at:%H:%M}"


def score(value: float | None) -> str:
    """Return a figure between 0 and 1."""
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
    """Say what an interval shows: it lies above zero, below, or holds zero."""
    if found["low"] is None:
        return FEW
    if found["low"] > 0:
        return BETTER
    return WORSE if found["high"] < 0 else EVEN


def count(value: float) -> str:
    """Return a whole number with thousands set apart."""
    return f"{int(value):,}"
