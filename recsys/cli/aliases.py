"""Lets MLflow's aliases follow the ledger after a decision made on the command line."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recsys.errors import NotFoundError, RegistryError

if TYPE_CHECKING:
    from recsys.settings import Settings


def follow_aliases(settings: "Settings", now: datetime) -> list[str]:
    """Write the aliases that the ledger wants, and say what is still to be written, a line each.

    The ledger is the truth, so MLflow being away is no failure: the next run repeats the write. The warehouse
    isn't held while MLflow is spoken to.
    """
    from recsys import ledger
    from recsys.pipeline.aliases import reconcile_aliases
    from recsys.warehouse import open_warehouse

    with open_warehouse(settings, purpose="reading wanted aliases") as warehouse:
        aliases = ledger.list_aliases(warehouse)
    try:
        return moved_lines(reconcile_aliases(settings, aliases, now))
    except (NotFoundError, RegistryError) as error:
        return [f"MLflow's aliases follow at the next run: {error}"]


def moved_lines(moved: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say which aliases somebody moved in MLflow, a line each."""
    return [
        f"MLflow's alias {one['alias']} of {one['model']} is left as somebody set it there "
        f"({one['found'] or 'none'}); the ledger wants {one['wanted'] or 'none'}."
        for one in moved
    ]
