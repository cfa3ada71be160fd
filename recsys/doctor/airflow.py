"""Airflow, over its HTTP interface: health, version, pool, DAG files that can't be imported, DAGs that are paused."""

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from recsys.doctor.finding import NOTE, OK, WRONG, Finding, Ground
from recsys.doctor.versions import tested_range
from recsys.settings import Settings

if TYPE_CHECKING:
    from recsys.stack.airflow_api import AirflowApi

DAGS: Final = (
    "train",
    "publish",
    "approve",
    "decide",
    "reconcile",
    "rollback",
    "suppress",
    "monitor",
    "backfill",
    "canary",
    "erase",
)
SCHEDULED: Final = ("train", "publish", "reconcile", "monitor", "erase")
UNHEALTHY: Final = "unhealthy"


def check_airflow(ground: Ground) -> list[Finding]:
    """Look at the Airflow of the settings, else at the stack that runs on this machine."""
    if importlib.util.find_spec("httpx") is None or importlib.util.find_spec("psutil") is None:
        return [Finding("airflow", NOTE, "not looked at: that needs httpx and psutil (pip install 'recsys[local]')")]
    api = _connect(ground.settings)
    if api is None:
        text = "none is known; RECSYS_AIRFLOW__URL, __USER and __PASSWORD name one, recsys up starts one"
        return [Finding("airflow", NOTE, text)]
    try:
        return examine_airflow(api, ground.settings)
    finally:
        api.close()


def _connect(settings: Settings) -> "AirflowApi | None":
    from recsys.stack.airflow_api import AirflowApi
    from recsys.stack.keys import USER, load_keys
    from recsys.stack.state import StackClaim

    chosen = settings.airflow
    if chosen.url:
        return AirflowApi(chosen.url.rstrip("/"), chosen.user, chosen.password or "")
    folder = settings.resolved_home / "stack"
    note = StackClaim(folder).read() if folder.is_dir() else None
    if note is None or not note.owner.is_alive:
        return None
    return AirflowApi(note.airflow_url, USER, load_keys(folder).password)


def examine_airflow(api: "AirflowApi", settings: Settings) -> list[Finding]:
    """Look at one Airflow.

    Raises:
        StackError: if it doesn't answer, or refuses the log-in.
    """
    return [
        _version(api.version(), api.url),
        *_health(api.health()),
        _pool(api, f"{settings.namespace}_warehouse", 1, "Tasks that hold the warehouse"),
        _pool(api, f"{settings.namespace}_compute", settings.airflow.slots, "Tasks that compute"),
        *_imports(api.import_errors()),
        *_dags(api, settings.namespace),
    ]


def _version(found: str, url: str) -> Finding:
    tested = tested_range("apache-airflow")
    if tested.contains(found, prereleases=True):
        return Finding("airflow", OK, f"{url} answers, version {found}")
    advice = f"Run an Airflow within {tested}, or install a recsys that was tested with {found}."
    return Finding("airflow", WRONG, f"{url} answers, version {found}; tested with {tested}", advice)


def _health(parts: dict[str, str | None]) -> Iterator[Finding]:
    """Tell of parts that are not healthy; one without a status is not run by every deployment."""
    for part, status in parts.items():
        if status == UNHEALTHY:
            advice = f"Start Airflow's {part.replace('_', '-')}, or read its log: its heartbeat is missing."
            yield Finding(f"airflow {part}", WRONG, status, advice)


def _pool(api: "AirflowApi", name: str, wanted: int, what: str) -> Finding:
    slots = api.pool_slots(name)
    advice = f"Run: airflow pools set {name} {wanted} '{what}'"
    if slots is None:
        return Finding(f"pool {name}", WRONG, "it is not there, so tasks wait in it for ever", advice)
    if slots < 1:
        return Finding(f"pool {name}", WRONG, f"it has {slots} slots, so tasks wait in it for ever", advice)
    return Finding(f"pool {name}", OK, f"{slots} slots")


def _imports(errors: dict[str, str]) -> list[Finding]:
    advice = (
        "Mend what the message names: mostly a package or a setting that Airflow's environment lacks "
        "(docs/existing-airflow.md). Airflow reads the file again within a minute."
    )
    found = [
        Finding("import errors", WRONG, f"{name}: {message.splitlines()[-1] if message else 'no message'}", advice)
        for name, message in errors.items()
    ]
    return found or [Finding("import errors", OK, "none")]


def _dags(api: "AirflowApi", namespace: str) -> list[Finding]:
    ids = [f"{namespace}_{name}" for name in DAGS]
    paused = {dag_id: api.is_paused(dag_id) for dag_id in ids}
    missing = [dag_id for dag_id, state in paused.items() if state is None]
    if missing:
        advice = (
            "Point Airflow's DAG folder at recsys' dags/, and set RECSYS_NAMESPACE alike here and there; "
            "airflow dags list shows what Airflow knows."
        )
        return [Finding("dags", WRONG, f"Airflow doesn't know {', '.join(missing)}", advice)]
    halted = [f"{namespace}_{name}" for name in SCHEDULED if paused[f"{namespace}_{name}"]]
    if halted:
        return [Finding("dags", NOTE, f"{', '.join(halted)} paused: airflow dags unpause DAG lets it run")]
    return [Finding("dags", OK, f"all {len(ids)} are known, none of the scheduled ones is paused")]
