"""Commands that bring a shop into the warehouse: load, init, migrate."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.app import app, make_console, read_settings

if TYPE_CHECKING:
    from rich.console import Console


@app.command()
def load(
    name: Annotated[str, typer.Argument(help="The source: a folder sql/staging/NAME here, or a shipped one.")],
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Load nothing that occurred or was known at or after DATE."),
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="PATH", help="The file or folder with the raw data.")] = None,
    customers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N customers, for a quick look.")
    ] = None,
    promotions: Annotated[
        bool, typer.Option("--promotions/--no-promotions", help="Load promotions too, where there are any.")
    ] = True,
    replace_shop: Annotated[
        bool, typer.Option("--replace-shop", help="Load it over another shop, whose models and lists stay live.")
    ] = False,
) -> None:
    """Load a shop's raw data into the canonical tables.

    Loading again changes nothing. A load that fails or is killed leaves what was there before.

    \b
    Examples:
      recsys load completejourney --no-promotions
      recsys load completejourney --until 2017-12-05
      recsys load orders --data orders.csv
    """
    from recsys.load import TerminalProgress, load_source
    from recsys.moments import clock

    settings = read_settings()
    with TerminalProgress(make_console(err=True)) as progress:
        report = load_source(
            settings,
            name,
            until=_moment(until),
            data_dir=data,
            customers=customers,
            promotions=promotions,
            progress=progress,
            now=clock(),
            replace_shop=replace_shop,
        )
    _show_report(make_console(), report)


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="What to call the source: lower-case letters, digits and _.")],
    target: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to write; sql/staging here if absent.")
    ] = None,
) -> None:
    """Write a commented skeleton for your own shop's data.

    It maps your tables by SQL. Edit the file names and columns in it, then load it by its name. Nothing
    is overwritten.

    \b
    Examples:
      recsys init myshop && recsys load myshop --data exports/
    """
    from recsys.load import init_source

    folder = init_source(name, target or Path("sql", "staging"))
    typer.echo(f"Wrote {folder}. Edit source.toml and the SQL files, then: recsys load {name} --data PATH")


@app.command()
def migrate() -> None:
    """Bring the warehouse's tables up to this version.

    Running it again changes nothing. recsys load does it by itself.

    \b
    Examples:
      recsys migrate
    """
    from recsys.warehouse import migrate as apply_migrations
    from recsys.warehouse import open_warehouse

    with open_warehouse(read_settings(), purpose="recsys migrate") as warehouse:
        applied = apply_migrations(warehouse)
        typer.echo(f"{warehouse.name}: {', '.join(applied) if applied else 'nothing to do'}")


def _moment(text: str | None) -> datetime | None:
    from recsys.moments import parse_moment

    return None if text is None else parse_moment(text)


def _show_report(console: "Console", report: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    if report.skipped:
        console.print(Text(f"{report.source} is loaded already, with these very files and options."))
        return
    rows = Table(title=f"{report.source}: rows", title_justify="left")
    rows.add_column("table")
    rows.add_column("rows", justify="right")
    for table, count in report.rows.items():
        rows.add_row(table, f"{count:,}")
    console.print(rows)
    if report.cleaning:
        cleaned = Table(title="Cleaned", title_justify="left")
        cleaned.add_column("rule")
        cleaned.add_column("rows", justify="right")
        cleaned.add_column("why")
        for row in report.cleaning:
            cleaned.add_row(Text(row.rule), f"{row.row_count:,}", Text(row.reason))
        console.print(cleaned)
    console.print(f"{sum(report.seconds.values()):.1f} s in all. Next: recsys run")
