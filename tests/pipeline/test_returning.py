"""The way back in one step: what is live moves at once, once, whatever happens to MLflow or to the one who does it."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import ledger, pipeline, registry
from recsys.errors import NotFoundError, RefusedError, SettingsError
from recsys.publication import list_publications, live_files, live_publication, publish, returning
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.publication.test_live_files import read_files
from tests.support import children
from tests.support.publications import ITEMS, NOW, approve, made_lists, write_publication
from tests.support.reviews import PLACEMENT, register
from tests.support.warehouse import make_settings, write_small_shop

BEFORE = ("move_pointer", "end_live", "restore_publication", "record_move")
AFTER = ("live_recommendations.sql", "manifest.json")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The lists p1, p2 and p3 of the versions 1, 2 and 3 went live, p3 last; MLflow is away."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = make_settings(tmp_path, tracking_uri="http://127.0.0.1:9")
    with open_warehouse(made, purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        for number in (1, 2, 3):
            approve(warehouse, str(number))
            lists = write_publication(
                tmp_path / "files", f"p{number}", made_lists(shift=number, label=f"p{number}"), version=str(number)
            )
            publish(warehouse, made, lists, now=NOW + timedelta(days=number))
    return made


def roll_back(settings: Settings, day: int = 9, **changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"decided_by": "ada", "channel": "airflow", "reason": "too many sweets", **changes}
    return pipeline.roll_back(settings, placement=PLACEMENT, now=NOW + timedelta(days=day), **told)


def live(settings: Settings) -> str:
    with open_warehouse(settings, purpose="test") as warehouse:
        found = live_publication(warehouse, PLACEMENT)
        live_ones = [one.publication_id for one in list_publications(warehouse) if one.status == "live"]
    assert found is not None
    assert live_ones == [found.publication_id]
    assert {row["publication_id"] for row in read_files(settings.resolved_home / "live")} <= {"p1", "p2", "p3"}
    return found.publication_id


def decisions(settings: Settings) -> list[str]:
    with open_warehouse(settings, purpose="test") as warehouse:
        return [one.verdict for one in ledger.list_decisions(warehouse)][3:]


def test_it_holds_while_mlflow_is_away(settings: Settings) -> None:
    done = roll_back(settings)
    assert (done["publication_id"], done["version"], done["repeated"]) == ("p2", "2", False)
    assert "can't be" in done["mlflow_later"]
    assert live(settings) == "p2"


def test_the_alias_follows_when_mlflow_is_back(settings: Settings, tmp_path: Path) -> None:
    roll_back(settings)
    back = settings.model_copy(update={"tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}"})
    register(back)
    model = back.model_name(PLACEMENT)
    # What MLflow had before it went away, as the ledger noted it.
    registry.set_alias(back, model, "champion", "3")
    with open_warehouse(back, purpose="test") as warehouse:
        ledger.mark_written(warehouse, model_name=model, alias="champion", version="3", now=NOW + timedelta(days=3))
    result = pipeline.reconcile(back, now=NOW + timedelta(days=10))
    assert (result["approved"], result["refused"]) == ([], [])
    assert registry.get_alias(back, model, "champion") == "2"
    assert (live(back), decisions(back)) == ("p2", ["rolled_back"])


def test_a_second_click_does_not_go_back_twice(settings: Settings) -> None:
    assert roll_back(settings, withdraw="p3")["publication_id"] == "p2"
    again = roll_back(settings, 10, withdraw="p3", decided_by="grace")
    assert (again["publication_id"], again["repeated"]) == ("p2", True)
    assert (live(settings), decisions(settings)) == ("p2", ["rolled_back"])
    assert roll_back(settings, 11, withdraw="p2")["publication_id"] == "p1"


def test_what_is_not_live_any_more_is_not_withdrawn(settings: Settings) -> None:
    with pytest.raises(RefusedError, match="p1 is not live on for_you any more, p3 is"):
        roll_back(settings, withdraw="p1")
    assert (live(settings), decisions(settings)) == ("p3", [])


def test_an_attempt_after_one_that_was_done_does_nothing(settings: Settings) -> None:
    began = NOW + timedelta(days=8)
    assert not roll_back(settings, since=began)["repeated"]
    assert roll_back(settings, 10, since=began)["repeated"]
    # The scheduler's clock, which says when the run began, may be ahead of the worker's.
    assert roll_back(settings, 10, since=NOW + timedelta(days=9, minutes=4))["repeated"]
    assert live(settings) == "p2"
    # A later wish of the same person is another one.
    assert not roll_back(settings, 11, since=NOW + timedelta(days=11))["repeated"]
    assert (live(settings), decisions(settings)) == ("p1", ["rolled_back", "rolled_back"])


def test_what_cannot_be_done_is_told(settings: Settings) -> None:
    roll_back(settings)
    roll_back(settings, 10)
    with pytest.raises(NotFoundError, match="nothing to return to"):
        roll_back(settings, 11)
    with pytest.raises(SettingsError, match="There is no placement"):
        pipeline.roll_back(settings, placement="nowhere", decided_by="ada", channel="airflow", reason="r", now=NOW)


def return_until(folder: Path, store: str, step: str) -> None:
    """In a child: roll back, and end like a killed one when it comes to the step."""

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(where: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
            if step in (name, getattr(where, "name", None)):
                os.kill(os.getpid(), signal.SIGKILL)
            return real(where, name, *args, **kwargs)

        return call

    changed: tuple[tuple[Any, str], ...] = ((returning, "run"), (live_files, "_replace"))
    for module, name in changed:
        setattr(module, name, dying(getattr(module, name)))
    roll_back(make_settings(folder, tracking_uri=store), since=NOW + timedelta(days=8))


@pytest.mark.parametrize("step", [*BEFORE, *AFTER])
def test_killed_half_way_it_is_undone_or_done_and_the_next_attempt_ends_it(
    settings: Settings, tmp_path: Path, step: str
) -> None:
    ended = children.run(tmp_path, return_until, tmp_path, str(settings.tracking_uri), step)
    assert ended.code == -signal.SIGKILL, ended.printed
    is_done = step in AFTER
    assert (live(settings), decisions(settings)) == (("p2", ["rolled_back"]) if is_done else ("p3", []))
    again = roll_back(settings, 10, since=NOW + timedelta(days=8))
    assert again["repeated"] is is_done
    assert (live(settings), decisions(settings)) == ("p2", ["rolled_back"])
    assert {row["publication_id"] for row in read_files(settings.resolved_home / "live")} == {"p2"}
