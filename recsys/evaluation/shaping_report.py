"""What a report says of shaping: the ranked lists beside the shaped ones, and what the difference costs."""

from collections.abc import Mapping
from typing import Any, Final

from recsys.evaluation import words
from recsys.evaluation.gate import find_comparison
from recsys.evaluation.roles import HEADLINE, RANKER, SHAPED
from recsys.evaluation.shaped import SENSITIVE

BEYOND_ACCURACY: Final = {
    "diversity_category": "Variety of categories",
    "calibration": "Distance from the customer's taste",
    "novelty": "Novelty",
    "exposure_gini": "Inequality of exposure",
}


def shaping_section(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a report says of a placement's shaping: a sentence, and rows of ranked beside shaped figures."""
    looks = figures.get("shaping")
    if not looks or SHAPED not in figures["models"]:
        return None
    ranked, shaped = figures["models"][RANKER], figures["models"][SHAPED]
    titles = {name: title for name, (title, _) in words.FIGURES.items()}
    rows = [
        _row(title, ranked[name], shaped[name])
        for name, title in (BEYOND_ACCURACY | titles).items()
        if name in ranked and name in shaped
    ]
    rows.append(_row("Share of rows of sensitive categories", looks[SENSITIVE][RANKER], looks[SENSITIVE][SHAPED]))
    return {"sentence": shaping_cost(figures), "rows": rows}


def shaping_cost(figures: Mapping[str, Any]) -> str:
    """Say what shaping costs, in a sentence."""
    found, ranked = find_comparison(figures, SHAPED, RANKER), figures["models"][RANKER].get(HEADLINE)
    if found is None or not ranked:
        return "What shaping costs was not measured."
    share = 100 * found["difference"] / ranked
    verb = "costs" if share < 0 else "adds"
    return (
        f"Customers see shaped lists. Shaping {verb} {abs(share):.1f} % of NDCG@10: {words.interval(found)}, "
        f"{words.outcome(found)}."
    )


def _row(title: str, ranked: float, shaped: float) -> dict[str, str]:
    return {"name": title, "ranked": words.score(ranked), "shaped": words.score(shaped)}
