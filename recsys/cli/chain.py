"""Commands that run the chain: up, demo, run, evaluate."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.aliases import moved_lines
from recsys.cli.app import app, check_placements, make_console, read_settings

if TYPE_CHECKING:
    from rich.console import Console

AsOf = Annotated[str, typer.Option(metavar="WHEN", help="A date, a time, or latest: just after the newest event.")]
Placements = Annotated[
    list[str] | None, typer.Option("--placement", metavar="P", help="Only this placement; may be repeated.")
]


@app.command()
def up() -> None:
    """Start Airflow and MLflow on this machine.

    Waits until both are healthy, and stays until Ctrl-C. They listen on 127.0.0.1 only;
    RECSYS_AIRFLOW_PORT and RECSYS_MLFLOW_PORT say where.

    \b
    Examples:
      recsys up
    """
    from recsys.stack.up import run_up

    run_up(read_settings(), make_console())


@app.command()
def demo(
    exit_: Annotated[bool, typer.Option("--exit", help="End after the job instead of serving on.")] = False,
    customers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N customers, for a quick look.")
    ] = None,
) -> None:
    """Start everything and run the demo shop through Airflow.

    Loads the shop, trains, publishes, and shows what came out. What is there already is used again. The
    servers stay up until Ctrl-C.

    \b
    Examples:
      recsys demo
      recsys demo --exit
    """
    from recsys.stack.demo import run_demo

    run_demo(read_settings(), exit_after=exit_, customers=customers, console=make_console())


@app.command()
def run(as_of: AsOf = "latest", placement: Placements = None) -> None:
    """Run the whole chain in this process, without Airflow.

    That is: snapshot, training, evaluation, gate, publication. Stages whose inputs did not change are
    reused. Time and peak memory of each are shown.

    \b
    Examples:
      recsys run
      recsys run --as-of 2017-12-05 --placement for_you
    """
    from recsys.cli.stages import StageMeter
    from recsys.moments import clock, parse_moment

    now = clock()
    settings = read_settings()
    placements = check_placements(settings, placement or [])
    parse_moment(as_of)
    # Only now, since it takes seconds: a wrong argument is told at once.
    from recsys import pipeline

    console = make_console()
    meter = StageMeter(console)
    meter.header()
    outcome = pipeline.run_chain(settings, as_of=as_of, placements=placements, now=now, progress=meter, clock=clock)
    meter.total()
    show_published(console, outcome.get("published", []))
    show_waiting(console, outcome.get("waiting", []))
    for line in moved_lines(outcome.get("moved_by_person", [])):
        console.print(line, markup=False)
    show_metrics(console, outcome.get("metrics", {}))


@app.command()
def evaluate(
    as_of: AsOf = "latest",
    placement: Placements = None,
    published: Annotated[
        bool, typer.Option("--published", help="Measure what is live by what customers bought since.")
    ] = False,
) -> None:
    """Measure every model side by side on the newest days, or what is live by what came after it.

    No model has seen those days. Nothing is registered and nothing goes live.

    \b
    Examples:
      recsys evaluate
      recsys evaluate --as-of 2017-12-05 --placement discover
      recsys evaluate --published
    """
    from recsys.cli.stages import StageMeter
    from recsys.moments import clock, parse_moment

    now = clock()
    settings = read_settings()
    placements = check_placements(settings, placement or [])
    parse_moment(as_of)
    # Only now, since it takes seconds: a wrong argument is told at once.
    from recsys import pipeline

    console = make_console()
    if published:
        show_measured(console, [pipeline.measure_published(settings, placement=p, now=now) for p in placements])
        return
    meter = StageMeter(console)
    meter.header()
    outcome = pipeline.evaluate_only(settings, as_of=as_of, placements=placements, now=now, progress=meter)
    meter.total()
    show_metrics(console, outcome.get("metrics", {}))


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


def show_published(console: "Console", published: list[dict[str, Any]]) -> None:
    """Print what went live, one row a placement."""
    from rich.table import Table

    if not published:
        console.print("Nothing was published.")
        return
    table = Table(title="Published", title_justify="left")
    for heading in ("placement", "what happened", "publication"):
        table.add_column(heading)
    for heading in ("customers", "rows"):
        table.add_column(heading, justify="right")
    for row in published:
        happened = "unchanged, it was live already" if row.get("skipped") else f"now {row['status']}"
        numbers = (f"{row['customers']:,}", f"{row['rows']:,}")
        table.add_row(row["placement"], happened, row["publication_id"], *numbers)
    console.print(table)


def show_waiting(console: "Console", waiting: list[dict[str, Any]]) -> None:
    """Print which versions wait for a decision, or failed the gate."""
    for row in waiting:
        why = row.get("why", "it needs a decision")
        text = f"{row['placement']}: version {row['version']} of {row['model']} is not promoted: {why}"
        console.print(text, markup=False)
        console.print(
            f"  To decide: recsys approve {row['model']} {row['version']} --reason WHY, or recsys reject.", markup=False
        )


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
