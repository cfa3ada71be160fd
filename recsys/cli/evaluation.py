"""The command that measures: evaluate."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from recsys.cli.app import AsOf, Placements, app, check_placements, make_console, read_settings
from recsys.cli.figures import show_cuts, show_measured
from recsys.errors import SettingsError


class Protocol(StrEnum):
    """What is hidden from the models."""

    temporal = "temporal"
    leave_one_out = "leave-one-out"


@app.command()
def evaluate(
    as_of: AsOf = "latest",
    placement: Placements = None,
    interactions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure on this file instead of the warehouse: CSV or Parquet with user_id, item_id and timestamp or "
            "order, optionally value and event_type.",
        ),
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What is known of the file's items: item_id, title, category, brand, ..."),
    ] = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="What is hidden from the models: temporal, the newest days of the warehouse; leave-one-out, the last "
            "item of each customer of a file.",
            show_default="temporal; leave-one-out with --interactions",
        ),
    ] = None,
    repeats: Annotated[
        bool | None,
        typer.Option(
            "--repeats/--no-repeats",
            help="Leave-one-out: propose items that a customer had before.",
            show_default="what the next-to-last items say",
        ),
    ] = None,
    cuts: Annotated[
        int, typer.Option(min=1, max=24, metavar="N", help="Measure at N moments, one horizon apart, and their mean.")
    ] = 1,
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write a record a model, metric and cut here.")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Measure what is live by what customers bought since.")
    ] = False,
) -> None:
    """Measure every model side by side on the newest days, or what is live by what came after it.

    No model has seen those days. Each difference has an interval, drawn from the same customers for both models.
    Nothing is registered and nothing goes live. With --cuts 4 everything is trained and measured four times, as of
    the newest moment and up to three horizons before it.

    With --interactions the last item of each customer is asked for, among all items of the file. The generators,
    the fusion and the ranker are tuned on the item before it, and then trained on all but the last. The model
    "system" is what was best there: the ranker over all generators, unless the fusion or one generator is better.

    \b
    Examples:
      recsys evaluate
      recsys evaluate --as-of 2017-12-05 --placement discover
      recsys evaluate --cuts 4 --json figures.json
      recsys evaluate --published
      recsys evaluate --interactions events.parquet --protocol leave-one-out --json figures.json
      recsys evaluate --interactions events.csv --items products.csv --no-repeats
    """
    if json_:
        check_target(json_)
    if interactions or protocol is Protocol.leave_one_out:
        if interactions is None or protocol is Protocol.temporal or published or cuts > 1 or placement:
            raise SettingsError(
                "--protocol leave-one-out measures a file: name it with --interactions, without --published, --cuts or "
                "--placement. The temporal protocol measures the warehouse, without --interactions."
            )
        evaluate_file(interactions, items, repeats, json_)
        return
    if items or repeats is not None:
        raise SettingsError("--items and --repeats belong to --interactions FILE.")
    _evaluate_warehouse(as_of, placement or [], cuts, json_, published=published)


def evaluate_file(interactions: Path, items: Path | None, repeats: bool | None, json_: Path | None) -> None:
    """Measure every model on an interaction file."""
    from recsys.cli import leave_one_out

    settings = read_settings()
    records = leave_one_out.evaluate_file(settings, make_console(), interactions, items, repeats)
    if json_:
        write_records(json_, records)


def _evaluate_warehouse(as_of: str, placement: list[str], cuts: int, json_: Path | None, *, published: bool) -> None:
    from recsys.cli.stages import StageMeter
    from recsys.moments import clock, parse_moment

    now = clock()
    settings = read_settings()
    placements = check_placements(settings, placement)
    parse_moment(as_of)
    if published and (json_ or cuts > 1):
        raise SettingsError("--published measures what is live, once; --cuts and --json belong to a training.")
    # Only now, since it takes seconds: a wrong argument is told at once.
    from recsys import pipeline

    console = make_console()
    if published:
        show_measured(console, [pipeline.measure_published(settings, placement=p, now=now) for p in placements])
        return
    meter = StageMeter(console)
    meter.header()
    outcome = pipeline.evaluate_cuts(settings, as_of=as_of, cuts=cuts, placements=placements, now=now, progress=meter)
    meter.total()
    show_cuts(console, outcome["placements"])
    if json_:
        write_records(json_, outcome["records"])


def check_target(path: Path) -> None:
    """Make sure that a file can be written, before the work begins.

    Raises:
        SettingsError: if its folder isn't there, or it is a folder.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise SettingsError(f"--json {path} can't be written: name a file in a folder that exists.")


def write_records(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write records as a JSON list under a temporary name, and rename it."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(records, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)
