"""Commands for what a shop writes down about its products: rules load, rules list."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.app import app, make_console, open_ready, read_settings

rules = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=(
        "What the shop knows of its products: what goes with, replaces, never stands beside what; what is boosted.\n\n"
        "\b\nExamples:\n"
        "  recsys rules load rules.csv\n"
        "  recsys rules list"
    ),
)
app.add_typer(rules, name="rules")


@rules.command()
def load(
    file: Annotated[Path, typer.Argument(help="A CSV file; its header names columns of shop.item_rules.")],
    append: Annotated[bool, typer.Option("--append", help="Keep the rules that are there.")] = False,
    by: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose rules they are, if the file doesn't say; your log-in name if absent."),
    ] = None,
) -> None:
    """Load a file of rules in place of those that are there.

    A file with an error changes nothing; the message names every line and column. Columns: rule_id, kind (goes_with,
    replaces, never_together, boost); one of item_id, brand, category; of pairs one of other_item_id, other_brand,
    other_category; weight, placement, starts_at, ends_at, season_from and season_to (MM-DD), created_by, reason,
    known_at. Customers see it from the next publication on; what rules propose needs the generator knowledge in
    RECSYS_CANDIDATES__GENERATORS.

    \b
    Examples:
      recsys rules load rules.csv
      recsys rules load christmas.csv --append --by anna
    """
    from recsys.knowledge.loading import load_rules
    from recsys.moments import clock

    now = clock()
    settings = read_settings()
    with open_ready(settings, "recsys rules load") as warehouse:
        done = load_rules(warehouse, settings, file, append=append, created_by=by or getpass.getuser(), now=now)
    counts = f"{done.rows:,} rules loaded, {done.removed:,} of before removed."
    make_console().print(f"{counts} They count from the next publication on: recsys run.", markup=False)


@rules.command("list")
def show() -> None:
    """Show the rules, and which of them the next publication keeps to.

    \b
    Examples:
      recsys rules list
    """
    from recsys.cli.tables import rules_table
    from recsys.knowledge.loading import next_moment, written_rules
    from recsys.moments import clock

    now = clock()
    settings = read_settings()
    with open_ready(settings, "recsys rules list") as warehouse:
        written = written_rules(warehouse)
        at = next_moment(warehouse, settings, now)
    console = make_console()
    if not written:
        console.print("There are no rules. Write a CSV file, then: recsys rules load FILE", markup=False)
        return
    console.print(rules_table(written, at))
