"""Commands that try a version on a share of the customers: canary start, widen, refresh, end, status."""

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.app import AsOf, Placements, app, check_placements, make_console, open_ready, read_settings
from recsys.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from recsys.pipeline.trying import Move
    from recsys.settings import Settings

canary = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(canary, name="canary")

Share = Annotated[str, typer.Option(metavar="PART", help="Of all customers, such as 10% or 0.1; 0 is a shadow.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for the ledger.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who decides; your log-in name if absent.")]
Where = Annotated[str | None, typer.Option("--placement", metavar="P", help="Where; needed when several canaries run.")]


@canary.callback()
def _canary() -> None:
    """Try a version on a share of the customers, or in shadow.

    A canary is seen by a share of the customers, always the same ones; a shadow by nobody. Everybody else stays with
    what is live. A rollback of the placement, or a rejection of the version, ends it.

    \b
    Examples:
      recsys canary start recsys_for_you 3 --share 10% --why "gains on new customers"
      recsys canary status
      recsys canary widen --share 50% --why "no worse after a week"
      recsys canary refresh
      recsys canary end --promote --why "better for everybody"
      recsys canary end --withdraw --why "too many sweets"
    """


@canary.command()
def start(
    model: Annotated[str, typer.Argument(help="The registered model, such as recsys_for_you.")],
    version: Annotated[str, typer.Argument(help="Its version, as recsys status and MLflow show it.")],
    share: Share,
    why: Why,
    by: By = None,
    as_of: AsOf = "latest",
    override: Annotated[
        bool, typer.Option("--override", help="Although the gate did not pass it; the ledger says so.")
    ] = False,
) -> None:
    """Make a version's lists and show them to a share of the customers.

    \b
    Examples:
      recsys canary start recsys_for_you 3 --share 10% --why "gains on new customers"
      recsys canary start recsys_for_you 3 --share 0 --why "see it in shadow first"
    """
    from recsys.cli.stages import StageMeter
    from recsys.moments import clock

    now, part = clock(), parse_share(share)
    settings = read_settings()
    _require_shop(settings)
    # Only now, since it takes seconds: a wrong argument is told at once.
    from recsys import pipeline

    console = make_console()
    meter = StageMeter(console)
    meter.header()
    done = pipeline.try_version(
        settings,
        model=model,
        version=version,
        share=part,
        decided_by=by or getpass.getuser(),
        reason=why,
        now=now,
        progress=meter,
        as_of=as_of,
        override=override,
    )
    console.print(_line(done), markup=False)


@canary.command()
def widen(share: Share, why: Why, placement: Where = None, by: By = None) -> None:
    """Show a canary to a larger share; who sees it goes on seeing it.

    \b
    Examples:
      recsys canary widen --share 50% --why "no worse after a week"
    """
    _move("widen", placement, why, by, share=parse_share(share))


@canary.command()
def end(
    why: Why,
    promote: Annotated[bool, typer.Option("--promote", help="Approve it and show it to everybody.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Reject it; nobody sees it any more.")] = False,
    placement: Where = None,
    by: By = None,
) -> None:
    """End a canary: its version is for everybody, or for nobody.

    \b
    Examples:
      recsys canary end --promote --why "better for everybody"
      recsys canary end --withdraw --why "too many sweets"
    """
    if promote == withdraw:
        raise SettingsError("Say how the canary ends: either --promote or --withdraw.")
    _move("promote" if promote else "withdraw", placement, why, by)


@canary.command()
def refresh(placement: Placements = None, as_of: AsOf = "latest") -> None:
    """Make newer lists of the versions on trial, for the same customers.

    \b
    Examples:
      recsys canary refresh
    """
    from recsys.cli.stages import StageMeter
    from recsys.moments import clock

    now = clock()
    settings = read_settings()
    placements = check_placements(settings, placement or [])
    _require_shop(settings)
    from recsys import pipeline

    console = make_console()
    meter = StageMeter(console)
    meter.header()
    done = pipeline.refresh_canaries(settings, placements=placements, now=now, progress=meter, as_of=as_of)
    for one in done:
        console.print(_line(one), markup=False)
    if not done:
        console.print("No canary runs, so there is nothing to refresh.")


@canary.command()
def status(
    canary: Annotated[str | None, typer.Argument(help="One canary's id, to measure it although it ended.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="What was bought since, in each arm; takes a snapshot.")
    ] = True,
) -> None:
    """Show the canaries that run or ran, and how those that run do; of one that is named how it did, also if it ended.

    \b
    Examples:
      recsys canary status
      recsys canary status for_you-canary-0001
      recsys canary status --no-measure
    """
    from recsys.cli.tables import canary_table
    from recsys.moments import clock
    from recsys.publication import find_canary, list_canaries

    now = clock()
    settings = read_settings()
    with open_ready(settings, "recsys canary status") as warehouse:
        canaries = list_canaries(warehouse) if canary is None else [find_canary(warehouse, canary)]
    console = make_console()
    if not canaries:
        console.print("No canary ever ran. recsys canary start begins one.")
        return
    console.print(canary_table(canaries))
    if not measure:
        return
    from recsys import pipeline

    for one in canaries:
        if one.status == "running" or canary is not None:
            try:
                lines = arm_lines(pipeline.measure_canary(settings, canary_id=one.canary_id, now=now))
            except NotFoundError as error:
                lines = [str(error)]
            for line in lines:
                console.print(line, markup=False)


def parse_share(text: str) -> float:
    """Return a share of 0 to 1 that is written like 10% or 0.1.

    Raises:
        SettingsError: if it is neither, or not between nobody and everybody.
    """
    number, is_percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) / (100 if is_percent else 1)
    except ValueError as error:
        raise SettingsError(f"--share {text!r} is no share; write it like 10% or 0.1.") from error
    if not 0 <= share <= 1:
        raise SettingsError(f"--share {text!r} is not between nobody (0) and everybody (100% or 1).")
    return share


def arm_lines(found: dict[str, Any]) -> list[str]:
    """Say how both arms of a canary did, a line each."""
    kind = "the same customers, both lists" if found["paired"] else "different customers"
    lines = [f"{found['canary_id']}: bought from {found['since']} to {found['until']} ({kind})"]
    for name, arm in found["arms"].items():
        shown = "-" if arm["ndcg@10"] is None else f"{arm['ndcg@10']:.4f}"
        lines.append(f"  {name:<7} NDCG@10 {shown} of {arm['customers']:,} customers who bought")
    if found["difference"] is not None and found["low"] is not None:
        lines.append(
            f"  canary - main {found['difference']:+.4f}, {found['confidence']:.0%} interval {found['low']:+.4f} to "
            f"{found['high']:+.4f}"
        )
    else:
        lines.append("  Too few customers bought in both arms for a difference.")
    return lines


def _move(move: "Move", placement: str | None, why: str, by: str | None, **changes: Any) -> None:
    from recsys.cli.aliases import moved_lines
    from recsys.moments import clock

    now = clock()
    settings = read_settings()
    where = placement or _only_running(settings)
    settings.placement(where)
    _require_shop(settings)
    from recsys import pipeline

    done = pipeline.move_canary(
        settings,
        placement=where,
        move=move,
        decided_by=by or getpass.getuser(),
        channel="cli",
        reason=why,
        now=now,
        **changes,
    )
    console = make_console()
    later = [f"MLflow follows at the next run: {done['mlflow_later']}"] if done["mlflow_later"] else []
    for line in (_line(done), *moved_lines(done["moved_by_person"]), *later):
        console.print(line, markup=False)


def _only_running(settings: "Settings") -> str:
    from recsys.publication import running_canary

    with open_ready(settings, "find the canary") as warehouse:
        running = [name for name in settings.placements if running_canary(warehouse, name) is not None]
    if not running:
        raise NotFoundError("No canary runs. recsys canary start begins one.")
    if len(running) > 1:
        raise SettingsError(
            f"Several canaries run ({', '.join(running)}); say which one is meant: --placement {running[0]}"
        )
    return running[0]


def _require_shop(settings: "Settings") -> None:
    with open_ready(settings, "recsys canary"):
        pass  # A place without a warehouse is told before anything is made there.


def _line(told: dict[str, Any]) -> str:
    version = f"version {told['version']} of {told['model']}"
    if told["status"] == "running":
        whom = f"{told['share']:.2%} of the customers" if told["share"] else "nobody (shadow)"
        return f"{told['canary_id']}: {version} is shown to {whom} ({told['publication_id']})."
    end = "is live for everybody" if told["status"] == "promoted" else "is shown to nobody any more"
    return f"{told['canary_id']} is {told['status']}: {version} {end}."
