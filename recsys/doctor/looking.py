"""Calls the checks one after another; one that fails is a finding and keeps no other from being made."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from recsys.doctor import airflow, mlflow, places, versions, warehouse
from recsys.doctor.finding import WRONG, Finding, Ground
from recsys.errors import RecsysError
from recsys.settings import Settings

Check = Callable[[Ground], list[Finding]]

# The subject of what can't be looked at, the check, and where its message leaves open what to do.
_CHECKS: Final[tuple[tuple[str, Check, str], ...]] = (
    ("versions", versions.check_versions, "Install recsys anew: make install, or pip install recsys."),
    ("home", places.check_places, "Set RECSYS_HOME to a folder that can be written."),
    ("artifacts", places.check_store, "Check RECSYS_ARTIFACTS, RECSYS_PRIVACY__KEY and the AWS_... variables."),
    ("warehouse", warehouse.check_warehouse, "Check RECSYS_WAREHOUSE_URL, and that the server or file can be opened."),
    ("mlflow", mlflow.check_mlflow, "Check RECSYS_TRACKING_URI, and that the server runs."),
    ("ledger", warehouse.check_ledger, "Mend the warehouse or MLflow first, and look again."),
    ("airflow", airflow.check_airflow, "Check RECSYS_AIRFLOW__URL and its log-in, and that the server runs."),
)


def examine(settings: Settings, clock: Callable[[], datetime]) -> list[Finding]:
    """Look at versions, folders, the object store, warehouse, MLflow, ledger and Airflow.

    Args:
        settings: in force.
        clock: tells the moment (naive UTC), to be compared with the servers' clocks.

    Returns:
        What was found, in the order in which it would be mended.
    """
    ground = Ground(settings, clock)
    return [finding for subject, check, advice in _CHECKS for finding in _guarded(subject, check, advice, ground)]


def _guarded(subject: str, check: Check, advice: str, ground: Ground) -> list[Finding]:
    try:
        return check(ground)
    except RecsysError as error:
        return [Finding(subject, WRONG, str(error), advice)]
