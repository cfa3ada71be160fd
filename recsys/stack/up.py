"""Brings the local stack to the point where the platform's DAGs can run, and says how to reach it."""

import time
from typing import Final

from rich.console import Console
from rich.panel import Panel

from recsys.errors import RegistryError, StackError
from recsys.settings import Settings
from recsys.stack.checks import is_loopback
from recsys.stack.environment import webhook_secret
from recsys.stack.keys import USER, load_keys
from recsys.stack.stack import Stack

WEBHOOK: Final = "/recommendations-webhook/mlflow"
"""Where the plugin listens."""

_DAG_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 1.0


def dag_ids(settings: Settings) -> tuple[str, str]:
    """Return the DAGs that train and that publish, by the names that ``dags/`` gives them."""
    return f"{settings.namespace}_train", f"{settings.namespace}_publish"


def run_up(settings: Settings, console: Console | None = None) -> None:
    """Start Airflow and MLflow, say where they are, and stay until Ctrl-C.

    Raises:
        StackError: if they don't start, or one of their parts ends.
    """
    console = console or Console()
    with Stack(settings, console) as stack:
        make_ready(stack)
        console.print(addresses(stack))
        wait_for_ctrl_c(stack)


def make_ready(stack: Stack) -> None:
    """Wait until the stack is healthy, make its pools, and let its DAGs run.

    Raises:
        StackError: if a part ends or isn't healthy in time, or if a DAG file can't be imported (its message).
    """
    stack.wait_until_healthy()
    named, slots = stack.settings.namespace, stack.settings.airflow.slots
    stack.api.set_pool(f"{named}_warehouse", 1, "Tasks that hold the shop's warehouse.")
    stack.api.set_pool(f"{named}_compute", slots, "Tasks that compute.")
    for dag_id in dag_ids(stack.settings):
        _wait_for_dag(stack, dag_id)
        stack.api.unpause(dag_id)
    _listen_to_mlflow(stack)


def _listen_to_mlflow(stack: Stack) -> None:
    """Let MLflow tell Airflow of aliases that move; where it can't, the scheduled look finds them."""
    from recsys import registry

    settings = stack.settings.model_copy(update={"tracking_uri": stack.layout.mlflow_url})
    try:
        registry.ensure_webhook(
            settings,
            url=f"{stack.layout.airflow_url}{WEBHOOK}",
            secret=webhook_secret(settings, load_keys(stack.layout.stack)),
        )
    except RegistryError as error:
        stack.console.print(f"MLflow can't tell Airflow of decisions at once, only every ten minutes: {error}")


def _wait_for_dag(stack: Stack, dag_id: str) -> None:
    deadline = time.monotonic() + _DAG_SECONDS
    while not stack.api.has_dag(dag_id):
        stack.check()
        if errors := stack.api.import_errors():
            name, message = next(iter(errors.items()))
            raise StackError(f"Airflow can't import {name}:\n{message}")
        if time.monotonic() > deadline:
            raise StackError(
                f"Airflow has not read the DAG {dag_id} within {_DAG_SECONDS:.0f} s. "
                f"See the dag-processor's log in {stack.layout.logs}."
            )
        time.sleep(_POLL_SECONDS)


def addresses(stack: Stack) -> Panel:
    """Return what a person needs to open both UIs."""
    is_here = is_loopback(stack.settings.host)
    login = "(no log-in)" if is_here else "(MLflow's own log-in)"
    return Panel(
        f"Airflow  {stack.layout.airflow_url}   log-in [bold]{USER}[/] / [bold]{stack.password}[/]\n"
        f"MLflow   {stack.layout.mlflow_url}   {login}\n"
        f"Files    {stack.layout.home}",
        title="The platform is up, on this machine only" if is_here else f"The platform is up at {stack.settings.host}",
        expand=False,
    )


def wait_for_ctrl_c(stack: Stack) -> None:
    """Stay until a stopping signal; a stack of another process is left to it at once.

    Raises:
        StackError: if a part ends meanwhile.
    """
    if stack.attached:
        stack.console.print("Another process runs this stack; it stays up until that one is stopped.")
        return
    stack.console.print("Ctrl-C stops everything.")
    try:
        stack.watch()
    except KeyboardInterrupt:
        stack.console.print("Stopping Airflow and MLflow.")
