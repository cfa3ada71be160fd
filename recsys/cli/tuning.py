"""The command that searches for better settings of the ranker: tune."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.app import AsOf, app, make_console, read_settings

if TYPE_CHECKING:
    from rich.console import Console


@app.command()
def tune(
    placement: Annotated[str, typer.Option(metavar="P", help="Whose ranker.")] = "for_you",
    trials: Annotated[
        int, typer.Option(min=1, metavar="N", help="Settings to try in all; those of earlier calls count.")
    ] = 30,
    minutes: Annotated[
        float | None, typer.Option(min=0, metavar="M", help="Begin no trial that would end later than that.")
    ] = None,
    folds: Annotated[
        int, typer.Option(min=1, max=12, metavar="F", help="Months that each trial is judged by, one horizon apart.")
    ] = 2,
    as_of: AsOf = "latest",
) -> None:
    """Search for better settings of a placement's ranker.

    Each trial trains on earlier months and is judged by the ones after them. The newest month, the hold-out of a
    training, takes no part, so it can tell afterwards what the settings are worth. The settings in force are tried
    first. A search that was ended or killed goes on when the same command is run again, and loses one trial at most.
    Each trial is a child run in MLflow.

    \b
    Examples:
      recsys tune
      recsys tune --placement discover --trials 60 --minutes 20
      recsys tune --as-of 2017-12-05
    """
    from recsys.cli.stages import StageMeter
    from recsys.moments import clock, parse_moment

    now = clock()
    settings = read_settings()
    settings.placement(placement)
    parse_moment(as_of)
    # Only now, since it takes seconds: a wrong argument is told at once.
    from recsys import pipeline
    from recsys.cli.trials import TrialMeter

    console = make_console()
    meter = StageMeter(console)
    meter.header()
    with TrialMeter(console) as watcher:
        outcome = pipeline.tune_ranker(
            settings,
            placement=placement,
            as_of=as_of,
            budget=pipeline.Budget(trials=trials, minutes=minutes, folds=folds),
            now=now,
            progress=meter,
            watcher=watcher,
        )
    show_found(console, outcome, trials)


def show_found(console: "Console", outcome: Mapping[str, Any], asked: int) -> None:
    """Print what a search came to, and the best settings to put into ``recsys.toml``."""
    best, gain = outcome["best"], outcome["gain"]
    done = outcome["trials"]
    months = ", ".join(cut.removesuffix("T00:00:00") for cut in outcome["cuts"])
    console.print(f"{done} of {max(asked, done)} trials, judged by what was bought in the horizons from {months}.")
    if done < asked:
        console.print("The time is up. Run the same command again to go on.")
    if not best["number"]:
        console.print(f"Nothing did better than the settings in force: NDCG@10 {best['value']:.4f}.")
        return
    console.print(
        f"NDCG@10 {best['value']:.4f} in trial {best['number']}, {outcome['current']['value']:.4f} with the settings "
        f"in force: {gain['difference']:+.4f} ({100 * gain['confidence']:g} % interval of the same customers "
        f"{gain['low']:+.4f} to {gain['high']:+.4f})."
    )
    console.print(
        "The best of many is flattered by the months it was chosen on. What is left of it on the hold-out shows "
        "recsys evaluate, with this in recsys.toml:\n"
    )
    console.print(outcome["snippet"], markup=False)
