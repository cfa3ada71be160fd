"""Lets MLflow's aliases follow the ledger after a decision made on the command line."""

from datetime import datetime

from recsys.errors import NotFoundError, RegistryError
from recsys.settings import Settings


def follow_aliases(settings: Settings, now: datetime) -> list[str]:
    """Write the aliases that the ledger wants, and say what was done, a line each.

    The ledger is the truth, so MLflow being away is no failure: the next run repeats the write. The warehouse
    isn't held while MLflow is spoken to.
    """
    from recsys import ledger, registry
    from recsys.warehouse import open_warehouse

    with open_warehouse(settings, purpose="reading wanted aliases") as warehouse:
        wanted = ledger.wanted_aliases(warehouse)
    if not wanted:
        return []
    try:
        outcomes = registry.project_aliases(settings, wanted)
    except (NotFoundError, RegistryError) as error:
        return [f"MLflow's aliases follow at the next run: {error}"]
    done = [outcome for outcome in outcomes if outcome.action != "person"]
    with open_warehouse(settings, purpose="recording written aliases") as warehouse:
        for outcome in done:
            ledger.mark_written(
                warehouse,
                model_name=outcome.model_name,
                alias=outcome.alias,
                version=outcome.wanted_version,
                now=now,
            )
    return [
        f"MLflow's alias {one.alias} of {one.model_name}: "
        + (
            f"left at {one.found_version}, which somebody set there"
            if one.action == "person"
            else f"now {one.wanted_version or 'absent'}"
        )
        for one in outcomes
    ]
