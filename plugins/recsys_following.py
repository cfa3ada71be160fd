"""What the review page says about a run that it triggered, and about the publication that follows an approval."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import recsys_runs

if TYPE_CHECKING:
    from recsys.settings import Settings

TOLD: Final = {
    "queued": "Waiting for Airflow to begin.",
    "running": "At work.",
    "success": "Done.",
    "failed": "It failed. The run's page in Airflow has the log.",
}
TONES: Final = {"success": "good", "failed": "bad"}
PATIENCE: Final = timedelta(minutes=2)
"""How long the publication that follows an approval is awaited: Airflow starts it within seconds."""


@dataclass(frozen=True)
class Followed:
    """A run and what is to be said about it.

    Attributes:
        run: the run.
        told: how far it is, or why it failed.
        lists: how far the publication of an approved version is; empty where none is awaited.
        now: what the board says (see :func:`recsys.review.outcome`).
        is_settled: whether nothing of it changes any more.
    """

    run: recsys_runs.RunState
    told: str
    lists: str
    now: Mapping[str, Any]
    is_settled: bool


def follow(settings: "Settings", dag_id: str, run: recsys_runs.RunState, *, may_read_logs: bool) -> Followed:
    """Return what is to be said about a run.

    Args:
        settings: where home is, and the DAGs' prefix.
        dag_id: its DAG.
        run: as it is now.
        may_read_logs: whether the reader may see what a failed task said.
    """
    from recsys import review

    now = review.outcome(settings, run.conf)
    told = TOLD.get(run.state, "")
    if run.state == recsys_runs.FAILED and may_read_logs:
        told = recsys_runs.failure_of(dag_id, run.run_id) or told
    is_approval = run.state == recsys_runs.SUCCESS and run.conf.get("verdict") == "approved"
    if not is_approval or now["is_followed"] or not _is_champion(now, run.conf):
        return Followed(run, told, "", now, run.is_done)
    lists, is_settled = _publication(f"{settings.namespace}_publish", run)
    return Followed(run, told, lists, now, is_settled)


def _is_champion(now: Mapping[str, Any], conf: Mapping[str, Any]) -> bool:
    champion = now["champion"]
    named = (conf.get("model"), conf.get("version"))
    return champion is not None and (champion["model_name"], champion["model_version"]) == named


def _publication(dag_id: str, approval: recsys_runs.RunState) -> tuple[str, bool]:
    """Say how far the publication is that follows an approval, and whether that is its last word."""
    found = recsys_runs.newest_since(dag_id, approval.asked_at)
    ended = approval.ended_at or approval.asked_at
    if found is None and datetime.now(UTC) - ended < PATIENCE:
        return "Its lists are not live yet: Airflow is about to start the publication.", False
    if found is None or found.state == recsys_runs.SUCCESS:
        return f"Its lists are not live yet: the next run of {dag_id} brings them. It can be triggered by hand.", True
    if found.state == recsys_runs.FAILED:
        return f"Its lists are not live: the publication failed; see {found.run_id} of {dag_id}.", True
    return f"Its lists are not live yet: the publication is {found.state}.", False
