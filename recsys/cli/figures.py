"""Prints what models come to, side by side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recsys.evaluation.roles import HEADLINE, ROLES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ALL_CUTS = "mean"


def show_metrics(console: "Console", metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Print NDCG@10 of every model, one column a placement, the best first."""
    from rich.table import Table

    if not metrics:
        return
    # Not the table's own title: that would be broken at the width of the table.
    console.print("NDCG@10 on days that no model had seen")
    table = Table("model")
    models: dict[str, None] = {}
    for placement, values in metrics.items():
        table.add_column(placement, justify="right")
        models.update(dict.fromkeys(sorted(values, key=lambda name: values[name], reverse=True)))
    for model in models:
        cells = (metrics[placement].get(model) for placement in metrics)
        table.add_row(model, *("" if value is None else f"{value:.3f}" for value in cells))
    console.print(table)


def show_cuts(console: "Console", placements: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the headline of every model, one table a placement, with the paired difference of the ranker and it.

    Args:
        console: where to.
        placements: as ``recsys.pipeline.evaluate_cuts`` returns them.
    """
    for placement, found in placements.items():
        cuts, mean = found["cuts"], found[ALL_CUTS]
        days = [one["cut"][:10] for one in cuts]
        over = f"mean of {len(cuts)} cuts, {days[0]} to {days[-1]}" if len(cuts) > 1 else f"from {days[0]} on"
        # Not the table's own title: that would be broken at the width of the table.
        heading = f"{placement}: NDCG@10 on days that no model had seen, {over}, {mean['customers']:,} customers"
        console.print(heading, markup=False)
        console.print(_cut_table(cuts, mean))
        if mean["left_out"]:
            console.print(f"Not at every cut, so not shown: {', '.join(mean['left_out'])}.", markup=False)


def _cut_table(cuts: list[Mapping[str, Any]], mean: Mapping[str, Any]) -> "Table":
    from rich.table import Table

    share = next((f"{100 * one['confidence']:g} %" for one in mean["comparisons"]), "")
    table = Table("model", "role")
    headings = ["NDCG@10", f"{share} interval", "ranker minus it", f"{share} interval", ""]
    for heading in headings + (["at each cut"] if len(cuts) > 1 else []):
        table.add_column(heading.strip(), justify="right")
    compared = {one["b"]: one for one in mean["comparisons"] if one["metric"] == HEADLINE}
    last = ""
    for model in _ordered(mean):
        role = mean["roles"][model]
        value, bounds = mean["models"][model].get(HEADLINE), mean["intervals"].get(model, {}).get(HEADLINE)
        other = compared.get(model)
        each = [_number(one["models"][model].get(HEADLINE), 3) for one in cuts] if len(cuts) > 1 else []
        table.add_row(
            model,
            role if role != last else "",
            _number(value, 4),
            _bounds(*(bounds or (None, None)), sign=""),
            _number(other["difference"], 4, "+") if other else "",
            _bounds(other["low"], other["high"], sign="+") if other else "",
            _outcome(other) if other else "",
            *([" ".join(each)] if each else []),
        )
        last = role
    return table


def _ordered(mean: Mapping[str, Any]) -> list[str]:
    """Return models by role, the best of each first."""
    return sorted(
        mean["models"],
        key=lambda name: (ROLES.index(mean["roles"][name]), -mean["models"][name].get(HEADLINE, 0.0), name),
    )


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.{digits}f}"


def _bounds(low: float | None, high: float | None, *, sign: str) -> str:
    return "" if low is None else f"{_number(low, 4, sign)} to {_number(high, 4, sign)}"


def _outcome(found: Mapping[str, Any]) -> str:
    from recsys.evaluation import words

    outcome = words.outcome(found)
    return "unclear" if outcome == words.EVEN else outcome


def show_measured(console: "Console", measured: list[dict[str, Any]]) -> None:
    """Print how good the live lists turned out to be, one column a placement."""
    from rich.table import Table

    table = Table(title="What is live, by what customers bought since", title_justify="left")
    table.add_column("")
    for one in measured:
        table.add_column(one["placement"], justify="right")
    table.add_row("publication", *(one["publication_id"] for one in measured))
    table.add_row("as of", *(one["as_of"] for one in measured))
    table.add_row("measured until", *(one["window_to"] for one in measured))
    table.add_row("customers", *(f"{one['customers']:,}" for one in measured))
    for metric in measured[0]["metrics"]:
        table.add_row(metric, *(_with_interval(one, metric) for one in measured))
    rare = [one["ndcg_without_rule_of_ten"] for one in measured]
    table.add_row("ndcg@10, rare products too", *("" if value is None else f"{value:.4f}" for value in rare))
    console.print(table)
    for one in measured:
        if not one["window_complete"]:
            console.print(f"{one['placement']}: the warehouse does not reach the end of the window yet.", markup=False)


def _with_interval(one: Mapping[str, Any], metric: str) -> str:
    if metric not in one["metrics"]:
        return ""
    found = one["intervals"].get(metric)
    bounds = f" ({found[0]:.4f} to {found[1]:.4f})" if found else ""
    return f"{one['metrics'][metric]:.4f}{bounds}"
