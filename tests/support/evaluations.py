"""Small evaluations with known figures, in the shape that the evaluation stage writes."""

from typing import Any

from recsys.evaluation.roles import role_of

MODELS = ("popularity", "repurchase", "item_cf", "ranker")


def evaluation(**placements: dict[str, Any]) -> dict[str, Any]:
    """Return an evaluation of two placements, or of those given."""
    return {
        "snapshot_id": "2018-01-02-0123456789abcdef",
        "as_of": "2018-01-02T00:00:00",
        "holdout": {"from": "2017-12-05T00:00:00", "to": "2018-01-02T00:00:00"},
        "placements": placements
        or {
            "for_you": placement(best="repurchase", ranker=0.42, others=(0.155, 0.405, 0.2)),
            "discover": placement(best="item_cf", ranker=0.05, others=(0.036, 0.0, 0.043)),
        },
    }


def placement(
    *,
    best: str = "repurchase",
    ranker: float = 0.42,
    others: tuple[float, float, float] = (0.155, 0.405, 0.2),
    half_width: float = 0.004,
    customers: int = 1960,
) -> dict[str, Any]:
    """Return one placement's figures; every interval is the difference plus and minus the half width."""
    scores = dict(zip(MODELS, (*others, ranker), strict=True))
    return {
        "customers": customers,
        "models": {name: _metrics(score) for name, score in scores.items()},
        "ranker": "ranker",
        "best_single": best,
        "baselines": ["popularity"],
        "roles": {name: role_of(name) for name in scores},
        "intervals": {name: {"ndcg@10": [score - half_width, score + half_width]} for name, score in scores.items()},
        "comparisons": _comparisons(scores, half_width),
        "slices": {
            "light customers": _slice(scores, 0.6, customers // 4, half_width),
            "heavy customers": _slice(scores, 1.3, customers // 4, half_width),
            "tail products": _slice(scores, 0.4, customers // 8, half_width, kind="products"),
            "new customers": {"kind": "customers", "customers": 7, "is_small": True, "models": {}, "comparisons": []},
        },
        "release": {"overlap": 0.8, "score_distance": 0.1},
        "without_rule_of_ten": {name: score * 0.9 for name, score in scores.items()},
        "importance": [
            {"feature": "own purchases, 120-day half-life", "gain": 900.5},
            {"feature": "popularity_28", "gain": 120.0},
        ],
        "learning_curve": {"iteration": [1, 50, 100], "ndcg@10": [ranker * 0.8, ranker * 0.95, ranker]},
    }


def with_champion(
    figures: dict[str, Any], *, score: float, half_width: float = 0.004, is_refreshed: bool = False
) -> dict[str, Any]:
    """Return a placement's figures with version 4 as the model that serves."""
    ranker = figures["models"]["ranker"]["ndcg@10"]
    slices = {}
    for name, one in figures["slices"].items():
        models, compared = one["models"], one["comparisons"]
        if models:
            own = score * models["ranker"] / ranker
            models = {**models, "champion": own}
            compared = [*compared, comparison("ranker", "champion", models["ranker"] - own, 2 * half_width)]
        slices[name] = {**one, "models": models, "comparisons": compared}
    return {
        **figures,
        "models": {**figures["models"], "champion": _metrics(score)},
        "roles": {**figures["roles"], "champion": role_of("champion")},
        "comparisons": [*figures["comparisons"], comparison("ranker", "champion", ranker - score, half_width)],
        "slices": slices,
        "champion": {
            "version": "4",
            "is_compared": True,
            "measured": "release",
            "is_refreshed": is_refreshed,
            "changes": {"new_products": 2.5, "same_lists": 0.12},
            "seconds": {"ranker": 0.12, "champion": 0.1},
        },
    }


def _slice(
    scores: dict[str, float], factor: float, customers: int, half_width: float, kind: str = "customers"
) -> dict[str, Any]:
    """Return a slice's figures: those of all, times a factor, with an interval twice as wide."""
    own = {name: score * factor for name, score in scores.items()}
    return {
        "kind": kind,
        "customers": customers,
        "is_small": False,
        "models": own,
        "comparisons": _comparisons(own, 2 * half_width),
    }


def _comparisons(scores: dict[str, float], half_width: float) -> list[dict[str, Any]]:
    return [
        comparison("ranker", name, scores["ranker"] - score, half_width)
        for name, score in scores.items()
        if name != "ranker"
    ]


def comparison(a: str, b: str, difference: float, half_width: float) -> dict[str, Any]:
    low, high = difference - half_width, difference + half_width
    return {
        "a": a,
        "b": b,
        "metric": "ndcg@10",
        "difference": difference,
        "low": low,
        "high": high,
        "confidence": 0.95,
    }


def _metrics(score: float) -> dict[str, float]:
    names = ("recall@10", "precision@10", "hit_rate@10", "map@10", "mrr@10", "coverage")
    return {"ndcg@10": score, **{name: round(score * 0.5, 6) for name in names}}
