"""What is watched between decisions: recsys monitor."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.app import app, make_console, open_ready, read_settings

if TYPE_CHECKING:
    from recsys.settings import Settings

MANUAL = "recsys monitor"


@app.command()
def monitor(
    everything: Annotated[
        bool, typer.Option("--all", help="Also show what is as it should be and was not judged.")
    ] = False,
) -> None:
    """Measure data, drift, lists and realised quality now.

    The figures are recorded in the warehouse and in MLflow, as the DAG of monitoring does daily. It ends with code 1
    if one is a breach.

    \b
    Examples:
      recsys monitor
      recsys monitor --all
    """
    from recsys.cli.tables import measurement_table
    from recsys.moments import clock

    settings, now = read_settings(), clock()
    with open_ready(settings, MANUAL):
        pass  # A place without a shop is told before anything is made there.
    from recsys import pipeline
    from recsys.monitoring import latest_figures

    done = pipeline.monitor(settings, now=now, run_id=MANUAL)
    latest = latest_figures(settings)
    shown = [row for row in latest["measurements"] if everything or row["limit"] is not None or row["status"] != "ok"]
    console = make_console()
    console.print(measurement_table({"measurements": shown}))
    hidden = len(latest["measurements"]) - len(shown)
    if hidden:
        console.print(f"{hidden} more figures have no limit and are shown by --all.", markup=False)
    if done["mlflow_error"]:
        console.print(f"Not in MLflow yet, the next monitoring makes up for it: {done['mlflow_error']}", markup=False)
    console.print(f"{len(done['breaches'])} breaches, {len(done['warnings'])} warnings.", markup=False)
    if done["breaches"]:
        raise typer.Exit(1)


def training_lines(settings: "Settings", now: datetime) -> list[str]:
    """Say whether the next scheduled training would train, and why."""
    from recsys.errors import NotFoundError, RegistryError
    from recsys.monitoring.retraining import retraining_needed

    try:
        asked = retraining_needed(settings, now=now)
    except (RegistryError, NotFoundError) as error:
        return [f"Whether a training is needed can't be told: {error}"]
    heading = "A training is needed:" if asked["needed"] else "No training is needed:"
    return [heading, *(f"  {reason}" for reason in asked["reasons"])]
