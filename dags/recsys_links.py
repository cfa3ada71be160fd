"""Buttons on Airflow's task pages that lead to the run in MLflow, the report and the review page.

A link is found when its task has ended, from what the task returned, and kept with it; where there is nothing to lead
to, the button is off.
"""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf
from recsys_wiring import task_settings

from recsys.addresses import pages_address

PAGES = "/recommendations/"


class _Link(BaseOperatorLink):
    """A link that follows from what its task returned."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address, empty if there is none."""
        # At the end of a task this is the task instance itself.
        returned = ti_key.xcom_pull(task_ids=ti_key.task_id, key="return_value", map_indexes=ti_key.map_index)
        return self.address(returned) if isinstance(returned, Mapping) else ""

    def address(self, returned: Mapping[str, Any]) -> str:
        """Return the address that follows from a task's result, empty if there is none."""
        raise NotImplementedError


class RunLink(_Link):
    """To the training's run in MLflow, from versions or verdicts."""

    name = "MLflow run"

    def address(self, returned: Mapping[str, Any]) -> str:
        """Return the address, empty if MLflow has no pages."""
        base, first = pages_address(task_settings()), _first(returned)
        # A report's address begins with that of its run.
        return f"{base}/{first['report'].partition('/artifacts/')[0]}" if base and first else ""


class ReportLink(_Link):
    """To the report of an evaluation, which the review page shows."""

    name = "Report"

    def address(self, returned: Mapping[str, Any]) -> str:
        """Return the address, empty if nothing was measured."""
        evaluation = returned.get("evaluation") or ""
        folder = evaluation.rstrip("/").rpartition("/")[2]
        return f"{_airflow()}{PAGES}report?evaluation={quote(folder)}" if folder else ""


class ArtifactLink(_Link):
    """To the report among the run's artifacts in MLflow."""

    name = "Report in MLflow"

    def address(self, returned: Mapping[str, Any]) -> str:
        """Return the address, empty if MLflow has no pages."""
        base, first = pages_address(task_settings()), _first(returned)
        return f"{base}/{first['report']}" if base and first else ""


class ReviewLink(_Link):
    """To the page on which people decide."""

    name = "Review page"

    def address(self, returned: Mapping[str, Any]) -> str:
        """Return the page of the first version, else that of all."""
        first = _first(returned)
        asked = f"version?model={quote(first['model'])}&version={quote(first['version'])}" if first else ""
        return f"{_airflow()}{PAGES}{asked}"


def linked(returned: Any, links: Collection[BaseOperatorLink]) -> Any:
    """Give a task its buttons, and return what it returned."""
    returned.operator.operator_extra_links = tuple(links)
    return returned


def _first(returned: Mapping[str, Any]) -> Mapping[str, Any] | None:
    versions = returned.get("versions") or returned.get("verdicts") or []
    return versions[0] if versions else None


def _airflow() -> str:
    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
