"""Runs leave-one-out over an interaction file and prints what came out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from recsys.leave_one_out import Outcome, Progress
    from recsys.settings import Settings

_HEADLINE: Final = "ndcg@10"
_COUNTS: Final = {
    "rows_of_uncounted_types": "rows of event types that say nothing about a taste left out",
    "duplicate_rows": "rows that repeat another (customer, item, time) dropped",
    "rows_back_in_time": "rows that go back in time sorted",
    "rows_at_one_time": "events at the time of another of the customer kept in the order of the file",
    "customers_of_one_event": "customers of one event used for training only",
    "customers_of_two_events": "customers of two events used for training only",
    "item_rows_without_id": "rows of the item file without item_id left out",
    "duplicate_item_rows": "rows of the item file about an item that it has already left out",
    "unknown_items": "items of the item file without any event left out",
    "items_not_in_file": "items that the item file lacks kept without attributes",
    "items_without_attributes": "items of which the item file says nothing kept",
}


def evaluate_file(
    settings: "Settings", console: "Console", interactions: Path, items: Path | None, repeats: bool | None
) -> list[dict[str, Any]]:
    """Measure every model on a file, print the result, and return its records."""
    from recsys.cli.app import make_console
    from recsys.leave_one_out import evaluate_interactions, records

    with _bar(make_console(err=True)) as progress:
        outcome = evaluate_interactions(
            settings, interactions=interactions, items=items, repeats=repeats, progress=progress
        )
    show_outcome(console, outcome, interactions)
    return records(outcome.summary, outcome.customers, protocol="leave-one-out", interactions=interactions.name)


@contextmanager
def _bar(console: "Console") -> "Iterator[Progress]":
    """Show steps with an estimate in a terminal, and nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("the file", total=None)
        yield lambda doing, done, total: bars.update(task, description=doing, completed=done, total=total)


def show_outcome(console: "Console", outcome: "Outcome", path: Path) -> None:
    """Print what was read, what was chosen and what every model is worth."""
    counts = outcome.interactions.counts
    kind = "timestamp" if outcome.interactions.is_timed else "order"
    lines = [
        f"{path.name}: {counts['events']:,} events of {counts['customers']:,} customers with {counts['items']:,} items "
        f"(by {kind})",
        *(f"  {counts[name]:,} {text}" for name, text in _COUNTS.items() if counts.get(name)),
    ]
    if outcome.interactions.counted_as_purchase:
        lines.append(f"  {outcome.interactions.counted_as_purchase} counts as purchase: the file has none")
    share = f"{outcome.repeat_share:.1%} of the next-to-last items are such"
    lines.append(f"Items that a customer had before are {'proposed' if outcome.repeats else 'left out'} ({share}).")
    lines += [f"Not measured: {name}, since {why}." for name, why in outcome.left_out.items()]
    lines += ["", f"Tuned on the next-to-last item; the system is {outcome.system} there."]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    console.print(_choices(outcome))
    about = f"The last item of {outcome.customers:,} customers, among all {counts['items']:,} items"
    console.print(f"\n{about}.", markup=False, soft_wrap=True)
    console.print(_headlines(outcome))
    console.print(_figures(outcome))


def _choices(outcome: "Outcome") -> "Table":
    """Return what was tried and chosen, the best first."""
    from rich.table import Table

    table = Table("model", "NDCG@10, next-to-last", "tried", "weight", "chosen")
    for place in (1, 2, 3):
        table.columns[place].justify = "right"
    choices = {choice.generator: choice for choice in outcome.choices}
    for name in sorted(outcome.validation, key=lambda name: -outcome.validation[name]):
        figure = f"{outcome.validation[name]:.4f}"
        choice = choices.get(name)
        if choice is None:
            table.add_row(name, figure, "", "", f"by {outcome.placement.fusion}" if name == "fused" else "")
            continue
        chosen = [
            f"{setting} {value:g}" if isinstance(value, float) else f"{setting} {value}"
            for setting, value in choice.changes.items()
        ]
        if choice.repeats != outcome.repeats:
            chosen.append("without repeats")
        weight = f"{outcome.placement.weights.get(name, 1.0):g}"
        table.add_row(name, figure, str(choice.trials), weight, ", ".join(chosen) or "as the settings have it")
    return table


def _headlines(outcome: "Outcome") -> "Table":
    """Return NDCG@10 on the last item with intervals, and the difference of the system and each model."""
    from rich.table import Table

    summary = outcome.summary
    compared = {one["b"]: one for one in summary.comparisons if one["metric"] == _HEADLINE}
    share = next((f"{100 * one['confidence']:g} % interval" for one in compared.values()), "interval")
    table = Table("model", "NDCG@10", share, "system minus it", share, "gain")
    for column in table.columns[1:]:
        column.justify = "right"
    for model in _ordered(summary.models):
        value, other = summary.models[model][_HEADLINE], compared.get(model)
        bounds = summary.intervals.get(model, {}).get(_HEADLINE)
        table.add_row(
            model,
            f"{value:.4f}",
            f"{bounds[0]:.4f} to {bounds[1]:.4f}" if bounds else "",
            f"{other['difference']:+.4f}" if other else "",
            f"{other['low']:+.4f} to {other['high']:+.4f}" if other and other["low"] is not None else "",
            f"{other['difference'] / value:+.1%}" if other and value else "",
        )
    return table


def _figures(outcome: "Outcome") -> "Table":
    """Return every metric of every model; with one relevant item, recall is the hit rate."""
    from rich.table import Table

    models = outcome.summary.models
    metrics = [metric for metric in next(iter(models.values())) if not metric.startswith("recall")]
    table = Table("model", *(metric.replace("hit_rate@", "hit@") for metric in metrics))
    for column in table.columns[1:]:
        column.justify = "right"
    for model in _ordered(models):
        table.add_row(model, *(f"{models[model][metric]:.4f}" for metric in metrics))
    return table


def _ordered(models: Mapping[str, Mapping[str, float]]) -> list[str]:
    return sorted(models, key=lambda name: (name != "system", -models[name][_HEADLINE], name))
