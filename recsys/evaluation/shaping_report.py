"""What a report says of shaping: the ranked lists beside the shaped ones, and what the difference costs."""

from collections.abc import Mapping
from typing import Any, Final

from recsys.evaluation import words
from recsys.evaluation.roles import HEADLINE, RANKER, SHAPED, K
from recsys.evaluation.rules import find_comparison
from recsys.evaluation.shaped import SENSITIVE

FIGURES: Final = (
    HEADLINE,
    f"hit_rate@{K}",
    f"recall@{K}",
    "diversity_category",
    "calibration",
    "novelty",
    "coverage",
    "exposure_gini",
)


def shaping_section(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a report says of a placement's shaping: a sentence, and rows of ranked beside shaped figures."""
    looks = figures.get("shaping")
    if not looks or SHAPED not in figures["models"]:
        return None
    ranked, shaped = figures["models"][RANKER], figures["models"][SHAPED]
    rows = [
        _row(words.figure(name), ranked[name], shaped[name]) for name in FIGURES if name in ranked and name in shaped
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
