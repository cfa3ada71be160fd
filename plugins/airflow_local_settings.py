"""Read by each part of Airflow when it starts: what forks tasks loads the stages first.

A task then begins with the libraries in memory, which takes about half of its CPU time away. A shop with a file of
this name in ``$AIRFLOW_HOME/config`` keeps its own, and may take the import over. Where the stages have an environment
of their own (``RECSYS_STAGE_PYTHON``), this one lacks the libraries, and needs none.
"""

import contextlib
import sys

from airflow.configuration import conf


def forks_tasks(command: list[str]) -> bool:
    """Whether the process of an ``airflow`` command forks the processes of tasks."""
    return command[:2] == ["celery", "worker"] or (
        command[:1] == ["scheduler"] and conf.get("core", "executor").endswith("LocalExecutor")
    )


if forks_tasks(sys.argv[1:]):
    with contextlib.suppress(ImportError):
        import recsys.pipeline  # noqa: F401
