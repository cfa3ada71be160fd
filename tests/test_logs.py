"""Log lines carry the ids of what they are about, as text and as JSON."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recsys import logs
from recsys.pipeline.chain import Stages
from recsys.settings import Settings, load_settings
from tests.support.warehouse import make_settings

LOG = logging.getLogger("recsys.made")


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[io.StringIO]:
    """What is written as JSON at the level info."""
    stream = io.StringIO()
    logs.set_up(make_settings(tmp_path, logging={"format": "json"}), stream)
    yield stream
    logs.set_up(make_settings(tmp_path), io.StringIO())


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_time_level_logger_message_and_ids(lines: io.StringIO) -> None:
    LOG.info("Before.")
    with logs.bound(run_id="r1", snapshot_id="s1", publication_id=None):
        LOG.warning("%d rows", 3)
        with logs.bound(publication_id="p1"):
            LOG.info("Inside.")
    LOG.info("After.")
    found = written(lines)
    assert [{name: one.get(name) for name in logs.IDS[:3]} for one in found] == [
        {"run_id": None, "snapshot_id": None, "publication_id": None},
        {"run_id": "r1", "snapshot_id": "s1", "publication_id": None},
        {"run_id": "r1", "snapshot_id": "s1", "publication_id": "p1"},
        {"run_id": None, "snapshot_id": None, "publication_id": None},
    ]
    assert (found[1]["level"], found[1]["logger"], found[1]["message"]) == ("warning", "recsys.made", "3 rows")
    assert datetime.fromisoformat(found[1]["time"]).utcoffset() is not None


def test_an_exception_is_one_line_of_json(lines: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        LOG.exception("It failed.")
    [one] = written(lines)
    assert "ValueError: two\nlines" in one["exception"]


def test_text_has_the_ids_at_the_end_and_only_warnings(tmp_path: Path) -> None:
    stream = io.StringIO()
    logs.set_up(make_settings(tmp_path), stream)
    with logs.bound(run_id="r1"):
        LOG.info("Too small.")
        LOG.warning("Look.")
    assert stream.getvalue() == "WARNING recsys.made: Look. [run_id=r1]\n"


def test_a_level_that_is_set_holds_for_both_forms(tmp_path: Path) -> None:
    for form in ("text", "json"):
        stream = io.StringIO()
        logs.set_up(make_settings(tmp_path, logging={"format": form, "level": "error"}), stream)
        LOG.warning("Too small.")
        LOG.error("Seen.")
        assert len(stream.getvalue().splitlines()) == 1
    logs.set_up(make_settings(tmp_path), io.StringIO())


def test_stages_of_a_chain_say_run_and_snapshot_as_soon_as_they_are_known(lines: io.StringIO) -> None:
    def taken(settings: Settings, **_: Any) -> dict[str, Any]:
        return {"snapshot": "file:///h/snapshots/s1", "snapshot_id": "s1", "as_of": "2025-01-01T00:00:00"}

    def published(settings: Settings, **_: Any) -> dict[str, Any]:
        LOG.info("Inside.")
        return {"publication_id": "p1", "run_id": "one of MLflow's"}

    def broken(settings: Settings, **_: Any) -> dict[str, Any]:
        raise OSError("disk")

    stage = Stages(load_settings(), lambda *_: None, "recsys run")
    stage("snapshot", taken, as_of="latest")
    stage("publication", published, placement="for_you")
    with pytest.raises(OSError):
        stage("broken", broken)
    run = "recsys run as of 2025-01-01T00:00:00"
    assert [
        (one["stage"], one.get("run_id"), one.get("snapshot_id"), one.get("publication_id")) for one in written(lines)
    ] == [
        ("snapshot", None, None, None),
        ("snapshot", run, "s1", None),
        ("publication", run, "s1", None),
        ("publication", run, "s1", None),
        ("publication", run, "s1", "p1"),
        ("broken", run, "s1", None),
        ("broken", run, "s1", None),
    ]
    assert written(lines)[-1]["message"].startswith("broken failed after 0.0 s: OSError")


def test_an_artifacts_uri_tells_its_id() -> None:
    assert logs.ids_of({"snapshot": "file:///home/snapshots/abc"}) == {"snapshot_id": "abc"}
    assert logs.ids_of({"snapshot": "file:///home/snapshots/abc", "snapshot_id": "d"}) == {"snapshot_id": "d"}
    assert logs.ids_of(["no", "mapping"]) == {}


def test_a_host_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    @contextmanager
    def follower(**ids: str) -> Iterator[None]:
        seen.append(ids)
        yield
        seen.append({})

    monkeypatch.setattr(logs, "_followers", [])
    logs.follow(follower)
    logs.follow(follower)
    with logs.bound(run_id="r1", snapshot_id=None):
        assert seen == [{"run_id": "r1"}]
    assert seen == [{"run_id": "r1"}, {}]
    assert logs.bound_ids() == {}
