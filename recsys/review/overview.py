"""The first page: per placement what is live, what waits, and whether all is well."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from recsys.errors import NotFoundError
from recsys.evaluation import words
from recsys.evaluation.sheets import Sheet, list_sheets
from recsys.monitoring import latest_figures
from recsys.publication import LivePublication, live_publications, read_board
from recsys.publication.canary_records import RUNNING
from recsys.review.evidence import headline
from recsys.review.health import lights
from recsys.review.versions import WAITS, listed, placement_of
from recsys.settings import Settings

View = dict[str, Any]
MOST_VERSIONS = 6


def overview(settings: Settings, now: datetime) -> View:
    """Return what the first page shows.

    Args:
        settings: where home is, and the placements there are.
        now: naive UTC, for ages.

    Returns:
        ``placements``, each with ``live``, ``is_followed`` (whether the lists are the champion's), ``waiting``,
        ``versions``, ``way_back``, ``trial`` (the canary that runs, or None) and ``lights``; ``measured_at`` of the
        lights, None if nothing was measured; and ``problem``, why it can't be told what is live, empty if it can.
    """
    board, sheets = read_board(settings), list_sheets(settings)
    live, problem = _live(settings)
    measured = latest_figures(settings)
    return {
        "placements": [
            _placement(name, placement_of(board, name), board, sheets, live, now)
            | {"lights": lights(measured["measurements"], name)}
            for name in settings.placements
        ],
        "measured_at": measured["measured_at"],
        "problem": problem,
    }


def _live(settings: Settings) -> tuple[list[LivePublication], str]:
    """Return what is live, or why it can't be told: the rest of the page is worth showing without it."""
    try:
        return live_publications(settings), ""
    except NotFoundError as error:
        return [], str(error)


def _placement(
    name: str,
    placement: Mapping[str, Any],
    board: Mapping[str, Mapping[str, Any]],
    sheets: list[Sheet],
    live: list[LivePublication],
    now: datetime,
) -> View:
    versions = listed(sheets, board, name)
    shown = [one for one in live if one.placement == name]
    champion = placement["champion"]
    named = None if champion is None else (champion["model_name"], champion["model_version"])
    return {
        "name": name,
        "title": words.placement(name),
        "about": words.PLACEMENTS.get(name, "a place in the shop"),
        "champion": champion,
        "live": [{"publication": one, "age": age(now - one.live_at), "knows": age(now - one.as_of)} for one in shown],
        "is_followed": named is None or any((one.model_name, one.model_version) == named for one in shown),
        "waiting": [{**one, "headline": headline(one["sheet"])} for one in versions if one["status"] == WAITS],
        "versions": versions[:MOST_VERSIONS],
        "way_back": way_back(placement),
        "trial": next((one for one in placement["canaries"] if one["status"] == RUNNING), None),
    }


def way_back(placement: Mapping[str, Any]) -> View | None:
    """Return what a rollback withdraws and what it brings back; None if there is nothing to return to."""
    by_id = {one["publication_id"]: one for one in placement["publications"]}
    live, target = by_id.get(placement["live"]), by_id.get(placement["returns_to"])
    return {"withdraws": live, "restores": target} if live and target else None


def age(span: timedelta) -> str:
    """Return a span of time as a person says it."""
    minutes = max(int(span / timedelta(minutes=1)), 0)
    for size, unit in ((2 * 24 * 60, "day"), (2 * 60, "hour")):
        if minutes >= size:
            count = minutes // (size // 2)
            return f"{count} {unit}s"
    return "a minute" if minutes == 1 else f"{minutes} minutes"
