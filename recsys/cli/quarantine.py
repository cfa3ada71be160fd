"""Commands for what the contracts rejected: contracts, and quarantine list, show, repair, replay, drop."""

import getpass
import json
from typing import Annotated

import typer

from recsys.cli.app import app, make_console, open_ready, read_settings
from recsys.errors import SettingsError

quarantine = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=(
        "Rows that the contracts rejected: list, correct and put back.\n\n"
        "\b\nExamples:\n"
        "  recsys quarantine list --rule events_item\n"
        "  recsys quarantine repair 5d41402abc4b --set quantity=2\n"
        "  recsys quarantine replay --all"
    ),
)
app.add_typer(quarantine, name="quarantine")

Id = Annotated[
    str, typer.Argument(metavar="ID", help="The row's id or its beginning, as recsys quarantine list has it.")
]
Table = Annotated[str | None, typer.Option(metavar="T", help="Only rows of this table, such as events.")]
RuleName = Annotated[
    str | None, typer.Option("--rule", metavar="RULE", help="Only rows that break this rule: its id or what it says.")
]
Run = Annotated[str | None, typer.Option("--run", metavar="ID", help="Only rows of this load or snapshot.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who wants it; your log-in name if absent.")]


@app.command()
def contracts(
    report: Annotated[
        bool, typer.Option("--report", help="What the newest check found, instead of the rules.")
    ] = False,
) -> None:
    """Show the rules that rows must keep to, or what the newest check found.

    \b
    Examples:
      recsys contracts
      recsys contracts --report
    """
    from recsys.cli.tables import contract_table
    from recsys.contracts import rules_of
    from recsys.snapshot import newest_report

    settings = read_settings()
    if not report:
        make_console().print(contract_table(rules_of(settings.contracts)))
        return
    typer.echo(newest_report(settings))


@quarantine.command("list")
def show_all(
    table: Table = None,
    rule: RuleName = None,
    run: Run = None,
    most: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Rows to show.")] = 20,
) -> None:
    """List what is in quarantine: how many rows by rule and run, and the newest of them.

    \b
    Examples:
      recsys quarantine list
      recsys quarantine list --table events --rule events_quantity --limit 100
    """
    from recsys.cli.tables import quarantine_counts_table, quarantine_table
    from recsys.contracts import find_quarantined, quarantine_counts

    with open_ready(read_settings(), "recsys quarantine list") as warehouse:
        counts = quarantine_counts(warehouse)
        rows = find_quarantined(warehouse, table=table, rule=rule, run_id=run, most=most)
    console = make_console()
    if not counts:
        console.print("Nothing is in quarantine.")
        return
    console.print(quarantine_counts_table(counts))
    console.print(quarantine_table(rows) if rows else "No row in quarantine is like that.")


@quarantine.command()
def show(quarantine_id: Id) -> None:
    """Show one row: every column as it was rejected, and as it was corrected.

    \b
    Examples:
      recsys quarantine show 5d41402abc4b
    """
    from recsys.contracts import one_quarantined

    with open_ready(read_settings(), "recsys quarantine show") as warehouse:
        found = one_quarantined(warehouse, quarantine_id)
    typer.echo(f"{found.quarantine_id} of {found.source_table}: {found.rule}")
    typer.echo(f"rejected by {found.run_id}, first seen {found.seen_at:%Y-%m-%d %H:%M} UTC; {found.status}")
    typer.echo(json.dumps(found.row, indent=1))
    if found.repaired is not None:
        changed = {name: value for name, value in found.repaired.items() if value != found.row.get(name)}
        typer.echo(f"corrected: {json.dumps(changed)}")


@quarantine.command()
def repair(
    quarantine_id: Id,
    values: Annotated[
        list[str], typer.Option("--set", metavar="COLUMN=VALUE", help="The right value; COLUMN= empties it.")
    ],
    by: By = None,
) -> None:
    """Correct columns of a row. recsys quarantine replay then puts it back.

    \b
    Examples:
      recsys quarantine repair 5d41402abc4b --set quantity=2 --set item_id=1082185
    """
    from recsys.contracts import repair as correct
    from recsys.moments import clock

    now = clock()
    parts = [value.partition("=") for value in values]
    wrong = [name for name, sign, _ in parts if not sign]
    if wrong:
        raise SettingsError(f"--set {wrong[0]!r} has no '=': write it like --set quantity=2.")
    corrected = {name: value or None for name, _, value in parts}
    with open_ready(read_settings(), "recsys quarantine repair") as warehouse:
        found = correct(warehouse, quarantine_id, corrected, by=by or getpass.getuser(), now=now)
    typer.echo(
        f"{found.quarantine_id[:12]} is corrected. Put it back: recsys quarantine replay {found.quarantine_id[:12]}"
    )


@quarantine.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Only these rows.")] = None,
    table: Table = None,
    rule: RuleName = None,
    run: Run = None,
    every: Annotated[bool, typer.Option("--all", help="All rows that wait.")] = False,
    by: By = None,
) -> None:
    """Judge rows again, as they are or were corrected, and put those that pass into their tables.

    The next snapshot has them. Those that still break a rule stay, with the reason.

    \b
    Examples:
      recsys quarantine replay 5d41402abc4b
      recsys quarantine replay --rule events_item
    """
    from recsys.contracts import find_quarantined, one_quarantined
    from recsys.contracts import replay as put_back
    from recsys.moments import clock

    now = clock()
    settings = read_settings()
    if not (ids or table or rule or run or every):
        raise SettingsError("Say which rows: ids, --table, --rule, --run, or --all.")
    with open_ready(settings, "recsys quarantine replay") as warehouse:
        entries = [one_quarantined(warehouse, one) for one in ids or ()]
        if not ids:
            entries = find_quarantined(warehouse, table=table, rule=rule, run_id=run)
        done = put_back(warehouse, settings, entries, by=by or getpass.getuser(), now=now)
    typer.echo(f"{len(done.rows):,} rows are back in their tables, {len(done.refused):,} stay in quarantine.")
    for entry, why in done.refused[:20]:
        typer.echo(f"  {entry.quarantine_id[:12]} of {entry.source_table}: {why}")


@quarantine.command()
def drop(quarantine_id: Id, by: By = None) -> None:
    """Say that a row is never to be put back; it stays on record.

    \b
    Examples:
      recsys quarantine drop 5d41402abc4b
    """
    from recsys.contracts import drop as give_up
    from recsys.moments import clock

    now = clock()
    with open_ready(read_settings(), "recsys quarantine drop") as warehouse:
        found = give_up(warehouse, quarantine_id, by=by or getpass.getuser(), now=now)
    typer.echo(f"{found.quarantine_id[:12]} is dropped.")
