"""Lets MLflow's aliases follow the ledger after a decision made on the command line."""

from datetime import datetime

from recsys.errors import NotFoundError, RegistryError
from recsys.settings import Settings


def follow_aliases(settings: Settings, now: datetime) -> list[str]:
    """Write the aliases that the ledger wants, and say what is still to be written, a line each.

    The ledger is the truth, so MLflow being away is no failure: the next run repeats the write. The warehouse
    isn't held while MLflow is spoken to.
    """
    from recsys import ledger
    from recsys.pipeline.deciding import reconcile_aliases
    from recsys.warehouse import open_warehouse

    with open_warehouse(settings, purpose="reading wanted aliases") as warehouse:
        wanted = ledger.wanted_aliases(warehouse)
    try:
        reconcile_aliases(settings, wanted, now)
    except (NotFoundError, RegistryError) as error:
        return [f"MLflow's aliases follow at the next run: {error}"]
    with open_warehouse(settings, purpose="reading written aliases") as warehouse:
        left = ledger.wanted_aliases(warehouse)
    return [
        f"MLflow's alias {one.alias} of {one.model_name} is left as somebody set it there; "
        f"the ledger wants {one.wanted_version or 'none'}."
        for one in left
    ]
