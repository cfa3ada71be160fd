"""The command doctor: looks at everything that a run needs, and says what to do about what is wrong."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.app import app, make_console, read_settings

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.doctor import Finding

MARKS = {"ok": "ok", "note": "note", "wrong": "WRONG"}


@app.command()
def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON: subject, status, found and advice of each.")
    ] = False,
) -> None:
    """Check what a run needs, and say how to mend what is wrong.

    Looks at versions, folders, disk, clocks, warehouse (rights, migrations), MLflow, Airflow (pool, DAGs), and at the
    ledger against what is live and MLflow's aliases. Nothing is changed. Ends with code 1 if something is wrong.

    \b
    Examples:
      recsys doctor
      recsys doctor --json
    """
    from recsys.doctor import WRONG, examine
    from recsys.moments import clock

    findings = examine(read_settings(), clock)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        make_console().print(_table(findings))
    if any(finding.status == WRONG for finding in findings):
        raise typer.Exit(1)


def _table(findings: "list[Finding]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", "found", "how to mend it")
    for one in findings:
        style = {"wrong": "bold red", "note": "yellow"}.get(one.status, "green")
        table.add_row(Text(MARKS[one.status], style), one.subject, Text(one.found), Text(one.advice))
    return table
