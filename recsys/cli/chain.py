"""Commands that run the chain: up, demo, run."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.aliases import moved_lines
from recsys.cli.app import AsOf, Placements, app, check_placements, make_console, read_settings
from recsys.cli.figures import show_metrics

if TYPE_CHECKING:
    from rich.console import Console


@app.command()
def up(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Listen there instead; refused without log-ins.")
    ] = None,
) -> None:
    """Start Airflow and MLflow on this machine.

    Waits until both are healthy, and stays until Ctrl-C. They listen on 127.0.0.1 only;
    RECSYS_AIRFLOW_PORT and RECSYS_MLFLOW_PORT say where. Another address (--host, RECSYS_HOST) is
    taken only where MLflow's log-in is set up: docs/security.md.

    \b
    Examples:
      recsys up
    """
    from recsys.stack.up import run_up

    settings = read_settings()
    run_up(settings if host is None else settings.model_copy(update={"host": host}), make_console())


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
def run(
    as_of: AsOf = "latest",
    placement: Placements = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Make all lists, whatever RECSYS_WHOLE_EVERY_DAYS says.")
    ] = False,
) -> None:
    """Run the whole chain in this process, without Airflow.

    That is: snapshot, training, evaluation, gate, publication. Stages whose inputs did not change are
    reused. Time and peak memory of each are shown.

    \b
    Examples:
      recsys run
      recsys run --as-of 2017-12-05 --placement for_you
      recsys run --whole
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
    outcome = pipeline.run_chain(
        settings, as_of=as_of, placements=placements, now=now, progress=meter, clock=clock, whole=whole
    )
    meter.total()
    show_published(console, outcome.get("published", []))
    show_waiting(console, outcome.get("waiting", []))
    for line in moved_lines(outcome.get("moved_by_person", [])):
        console.print(line, markup=False)
    show_metrics(console, outcome.get("metrics", {}))


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
        if row.get("base"):
            happened += f", with {row['own_rows']:,} rows of its own over {row['base']}"
        numbers = (f"{row['customers']:,}", f"{row['rows']:,}")
        table.add_row(row["placement"], happened, row["publication_id"], *numbers)
    console.print(table)


def show_waiting(console: "Console", waiting: list[dict[str, Any]]) -> None:
    """Print which versions wait for a decision, or failed the gate."""
    from recsys.evaluation.gate import PASSED

    for row in waiting:
        why = row.get("why", "it needs a decision")
        text = f"{row['placement']}: version {row['version']} of {row['model']} is not promoted: {why}"
        console.print(text, markup=False)
        version = f"{row['model']} {row['version']}"
        if row["gate"] == PASSED:
            told = f"To decide: recsys approve {version} --reason WHY, or recsys reject."
        else:
            told = (
                "More data may do, or other settings. To let it serve all the same: "
                f"recsys approve {version} --override --reason WHY, then recsys run --placement {row['placement']}"
            )
        console.print(f"  {told}", markup=False)
