"""Commands by which a person decides about a model version: approve, reject."""

import getpass
from typing import Annotated, Literal

import typer

from recsys.cli.app import app, make_console, open_ready, read_settings

Model = Annotated[str, typer.Argument(help="The registered model, such as recsys_for_you.")]
Version = Annotated[str, typer.Argument(help="Its version, as recsys status and MLflow show it.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for the ledger.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who decides; your log-in name if absent.")]


@app.command()
def approve(
    model: Model,
    version: Version,
    reason: Reason,
    by: By = None,
    override: Annotated[
        bool, typer.Option("--override", help="Although the gate did not pass it; the ledger says so.")
    ] = False,
) -> None:
    """Approve a model version: it becomes the champion.

    Customers see it from the next publication on. Nothing is trained.

    \b
    Examples:
      recsys approve recsys_for_you 2 --reason "the bakery looks right"
    """
    _decide(model, version, "approved", reason, by, override=override)


@app.command()
def reject(model: Model, version: Version, reason: Reason, by: By = None) -> None:
    """Reject a model version: no policy promotes it any more.

    What is live stays as it is.

    \b
    Examples:
      recsys reject recsys_for_you 2 --reason "too many sweets"
    """
    _decide(model, version, "rejected", reason, by)


def _decide(
    model: str,
    version: str,
    verdict: Literal["approved", "rejected"],
    reason: str,
    by: str | None,
    *,
    override: bool = False,
) -> None:
    from recsys.cli.aliases import moved_lines
    from recsys.moments import clock

    now = clock()
    settings = read_settings()
    with open_ready(settings, f"version {version} is {verdict}"):
        pass  # A place without a warehouse is told before anything is made there.
    # Only now, since it takes seconds: a wrong argument is told at once.
    from recsys import pipeline

    done = pipeline.decide(
        settings,
        model=model,
        version=version,
        verdict=verdict,
        decided_by=by or getpass.getuser(),
        reason=reason,
        now=now,
        override=override,
    )
    lines = [f"{done['placement']}: version {done['version']} of {model} is {verdict} ({done['decision_id']})."]
    if verdict == "approved":
        lines.append("It is the champion; recsys run, or the DAG recsys_publish in Airflow, brings it live.")
    else:
        lines.append("What is live stays as it is, and no policy promotes this version; recsys approve would.")
    if done["mlflow_later"]:
        lines.append(f"MLflow follows at the next run: {done['mlflow_later']}")
    console = make_console()
    for line in [*lines, *moved_lines(done["moved_by_person"])]:
        console.print(line, markup=False)
