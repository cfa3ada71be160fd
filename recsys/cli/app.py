"""The application object, how errors reach a person, and what all commands share."""

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from recsys import __version__
from recsys.errors import NotFoundError, RecsysError, WarehouseError

if TYPE_CHECKING:
    from rich.console import Console

    from recsys.settings import Settings
    from recsys.warehouse import Warehouse

PLAIN_WIDTH: Final = 140
"""Columns of a table where the output is a file or a pipe."""

LOAD_HINT: Final = "Load a shop first: recsys load completejourney (the demo), or recsys init NAME for your own."


AsOf = Annotated[str, typer.Option(metavar="WHEN", help="A date, a time, or latest: just after the newest event.")]
Placements = Annotated[
    list[str] | None, typer.Option("--placement", metavar="P", help="Only this placement; may be repeated.")
]


class _Commands(TyperGroup):
    """Prints what the platform reports on purpose as one paragraph; anything else keeps its trace."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the context names.

        Raises:
            typer.Exit: with code 1, when the platform reported something.
        """
        try:
            return super().invoke(ctx)
        except RecsysError as error:
            typer.secho(str(error), fg="red", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=(
        "Recommendations for a shop, from its SQL warehouse and back to it.\n\n"
        "\b\nA first look:\n"
        "  recsys demo                    start everything, train and publish for the demo shop\n"
        "\b\nWithout servers:\n"
        "  recsys load completejourney    the demo shop into the embedded warehouse\n"
        "  recsys run                     the whole chain in this process\n"
        "  recsys recommend 1             what customer 1 sees, and why\n\n"
        "Settings come from RECSYS_* variables and recsys.toml; RECSYS_HOME says where everything lives."
    ),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recsys {__version__}")
        raise typer.Exit


def _end_quietly() -> None:
    """Keep DuckDB's binding from listing, after all is done and told, which of its types are still alive."""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and end."
    ),
) -> None:
    # Threads of LightGBM that wait for each other sleep instead of spinning, so that a busy machine stays usable.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    atexit.register(_end_quietly)


def read_settings() -> "Settings":
    """Return the settings of this process, and let its log lines be written as they say.

    Raises:
        SettingsError: naming each setting that can't be used.
    """
    from recsys import logs
    from recsys.settings import load_settings

    settings = load_settings()
    logs.set_up(settings)
    return settings


def make_console(*, err: bool = False) -> "Console":
    """Return a console; where it is not a terminal it is wide enough for the tables."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)


@contextmanager
def open_ready(settings: "Settings", purpose: str) -> Iterator["Warehouse"]:
    """Open a warehouse that holds a shop's tables.

    Raises:
        NotFoundError: if nothing was ever loaded.
        WarehouseError: if it can't be opened, or lacks migrations.
    """
    from recsys.warehouse import open_warehouse, pending_migrations
    from recsys.warehouse.opening import warehouse_url

    url = warehouse_url(settings)
    # Opening a DuckDB file that isn't there makes one: a look should leave nothing behind.
    if url.get_backend_name() == "duckdb" and not Path(str(url.database)).is_file():
        raise NotFoundError(f"There is no warehouse at {url.database} yet. {LOAD_HINT}")
    with open_warehouse(settings, purpose=purpose) as warehouse:
        pending = pending_migrations(warehouse)
        if pending:
            raise WarehouseError(
                f"The warehouse {warehouse.name} lacks the tables of {', '.join(pending)}. "
                f"Run: recsys migrate. {LOAD_HINT}"
            )
        yield warehouse


def check_placements(settings: "Settings", placements: list[str]) -> list[str]:
    """Return the placements that were asked for, all if none was.

    Raises:
        SettingsError: if one doesn't exist.
    """
    for placement in placements:
        settings.placement(placement)
    return placements or list(settings.placements)
