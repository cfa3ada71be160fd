"""The model card of one placement: one page in Markdown for whoever has to trust the model (Mitchell et al. 2019)."""

from collections.abc import Mapping
from typing import Any

from recsys.evaluation import words
from recsys.evaluation.evidence import model_table, not_compared, rival_of, slice_table
from recsys.evaluation.rules import find_comparison
from recsys.settings import Settings

SHOWN = ("ndcg@5", "ndcg@10", "ndcg@20", "recall@10", "precision@10", "map@10", "mrr@10", "hit_rate@10")
BEYOND = ("serendipity", "novelty", "diversity_category", "diversity_brand", "calibration", "coverage", "exposure_gini")


def model_card(
    evaluation: Mapping[str, Any],
    placement: str,
    settings: Settings,
    *,
    rows: Mapping[str, int],
    learned_from: str,
    generators: tuple[str, ...],
) -> str:
    """Return the card: purpose, data, window, method, figures with intervals, slices, limits, how to read it.

    Args:
        evaluation: the evaluation JSON.
        placement: whose model.
        settings: that it was trained with.
        rows: of the snapshot's tables.
        learned_from: ISO moment of the first event.
        generators: the recipe's.
    """
    figures = evaluation["placements"][placement]
    parts = [
        f"# {words.placement(placement)}: model card\n",
        _purpose(placement),
        _data(evaluation, rows, learned_from),
        _method(placement, settings, generators),
        _figures(figures),
        _slices(figures),
        _limits(figures, settings),
        _reading(settings),
    ]
    return "\n".join(parts)


def _purpose(placement: str) -> str:
    return (
        "## Purpose\n\n"
        f"Ranks {words.PLACEMENTS.get(placement, 'products of one place in the shop')}, ten to a customer, computed "
        "for all customers at once and published for web site, app and mailings. It is not made for prices, credit, "
        "stock planning or anything else that is decided about a person, and says nothing about why somebody buys.\n"
    )


def _data(evaluation: Mapping[str, Any], rows: Mapping[str, int], learned_from: str) -> str:
    holdout = evaluation["holdout"]
    counted = ", ".join(f"{words.count(number)} {table}" for table, number in rows.items())
    return (
        "## Data and window\n\n"
        f"Snapshot `{evaluation['snapshot_id']}`: {counted}, from {words.day(learned_from)} to "
        f"{words.day(evaluation['as_of'])}. Customers who withdrew their consent get no list of their own.\n\n"
        f"Measured on what customers bought from {words.day(holdout['from'])} to {words.day(holdout['to'])}, by a twin "
        "of the model that had seen nothing of that window. The registered model is the same recipe, fitted to "
        "everything.\n"
    )


def _method(placement: str, settings: Settings, generators: tuple[str, ...]) -> str:
    rules, learner = settings.placement(placement), settings.ranker_of(placement)
    return (
        "## Method\n\n"
        f"Candidates come from {len(generators)} generators ({', '.join(generators)}), {rules.fused} of them a "
        f"customer after fusion ({rules.fusion}). LightGBM ({learner.objective}, {learner.trees} trees, "
        f"{learner.leaves} leaves) ranks them by features of customer, product and both, learned from what was bought "
        "in the "
        f"{learner.horizon_days} days after each of up to {learner.cuts} earlier cuts. Products with fewer than "
        f"{settings.publication.min_item_purchases} purchases are not recommended. features.md lists what the ranker "
        "reads.\n"
    )


def _figures(figures: Mapping[str, Any]) -> str:
    ranker, rival = figures["ranker"], rival_of(figures)
    lines = ["## Figures\n", *not_compared(figures)]
    against = f"minus: {words.model(rival)}" if rival else ""
    lines += [f"| figure | value | interval | {against} |", "|---|---:|---|---|"]
    for name in (*SHOWN, *BEYOND):
        if name in figures["models"][ranker]:
            ends = figures.get("intervals", {}).get(ranker, {}).get(name)
            found = find_comparison(figures, ranker, rival, name) if rival else None
            told = f"{words.score(ends[0])} to {words.score(ends[1])}" if ends else ""
            difference = f"{words.interval(found)}, {words.outcome(found)}" if found else ""
            value = words.score(figures["models"][ranker][name])
            lines.append(f"| {words.figure(name)} | {value} | {told} | {difference} |")
    return "\n".join([*lines, "", *model_table(figures), ""])


def _slices(figures: Mapping[str, Any]) -> str:
    table = slice_table(figures)
    return "\n".join(["## For whom\n", *(table or ["No slices were measured."]), ""])


def _limits(figures: Mapping[str, Any], settings: Settings) -> str:
    small = [name for name, one in figures.get("slices", {}).items() if one["is_small"]]
    points = [
        f"One window of {settings.ranker.horizon_days} days. An interval tells how much other customers would change a "
        "figure, not other months: `recsys evaluate --cuts 4` tells that.",
        "Purchases that the shop's own pages and offers led to count as the customer's wish: what was never shown had "
        "less of a chance. Only a test with customers shows what the lists themselves bring about.",
        f"Only customers with a history and an eligible purchase in the window count "
        f"({words.count(figures['customers'])}). Customers without a history get the list of their segment or of "
        "everybody, which is not measured here.",
        "The best single generator is picked on the same days, which is in its favour. With many comparisons, one in "
        "twenty seems clear by chance.",
    ]
    if small:
        points.append(
            f"Too small to be judged (fewer than {settings.evaluation.smallest_slice} customers): {', '.join(small)}."
        )
    return "\n".join(["## Limits\n", *(f"- {point}" for point in points), ""])


def _reading(settings: Settings) -> str:
    share = f"{100 * settings.gate.confidence:g} %"
    return (
        "## How to read it\n\n"
        f"Intervals hold the true figure in {share} of such samples of customers (paired bootstrap, "
        f"{words.count(settings.gate.bootstrap)} draws). A difference whose interval holds zero is no clear one. "
        "NDCG is 1 for a list with everything the customer bought on top, 0 for one with nothing of it. The report "
        "beside this card says what every other figure means, and shows ten customers' lists.\n"
    )
