"""What was published and decided, placement by placement, and what one triggered run has changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from recsys.evaluation import words
from recsys.evaluation.sheets import list_sheets
from recsys.publication import read_board, read_hidden
from recsys.review.overview import way_back
from recsys.review.versions import placement_of
from recsys.settings import Settings

View = dict[str, Any]
TONES: Final = {"live": "good", "withdrawn": "bad", "failed": "bad", "staged": "open"}
RULE_MOMENTS: Final = ("starts_at", "ends_at")
VERDICTS: Final = {"approved": "good", "rejected": "bad", "rolled_back": "bad"}


def history(settings: Settings, now: datetime) -> View:
    """Return what was published, decided and hidden, the newest first.

    Args:
        settings: where home is, and the placements there are.
        now: naive UTC, to tell which rules hold.

    Returns:
        ``placements``, each with ``publications``, ``decisions``, ``canaries`` and ``way_back``; and ``hidden``, the
        rules that hide products.
    """
    board = read_board(settings)
    return {
        "placements": [_placement(name, placement_of(board, name)) for name in settings.placements],
        "hidden": [_rule(one, now) for one in read_hidden(settings)],
    }


def _rule(rule: Mapping[str, Any], now: datetime) -> View:
    parts = (("", rule["title"] or rule["item_id"]), ("brand ", rule["brand"]), ("category ", rule["category"]))
    starts, ends = (None if rule[name] is None else datetime.fromisoformat(rule[name]) for name in RULE_MOMENTS)
    holds = (starts is None or starts <= now) and (ends is None or ends > now)
    return {**rule, "what": ", ".join(f"{word}{value}" for word, value in parts if value), "holds": holds}


def _placement(name: str, placement: Mapping[str, Any]) -> View:
    back = way_back(placement)
    return {
        "name": name,
        "title": words.placement(name),
        "way_back": back,
        "publications": [
            {
                **one,
                "tone": TONES.get(one["status"], ""),
                "is_target": back is not None and one["publication_id"] == placement["returns_to"],
            }
            for one in placement["publications"]
        ],
        "decisions": [
            {**one, "tone": VERDICTS.get(one["verdict"], ""), "did": one["verdict"].replace("_", " ")}
            for one in placement["decisions"]
        ],
        "canaries": placement["canaries"],
    }


def outcome(settings: Settings, conf: Mapping[str, Any]) -> View:
    """Return what the board says now about what a run was triggered for.

    Args:
        settings: where home is.
        conf: the run's parameters: a placement, or a model and its version, or what is hidden.

    Returns:
        ``placement`` (its name; empty for a run about none), ``decision`` (the newest that concerns it, or None),
        ``live`` (the publication that is live, or None), ``champion`` and ``is_followed`` (whether the lists that are
        live are the champion's), and ``rules`` (those that hide the product that the run is about).
    """
    board = read_board(settings)
    name = str(conf.get("placement") or "") or _placement_of(settings, conf)
    placement = placement_of(board, name)
    item = conf.get("item")
    rules = [one for one in read_hidden(settings) if item and one["item_id"] == item]
    about = [] if item else [one for one in placement["decisions"] if "version" not in conf or _is_about(one, conf)]
    live = next((one for one in placement["publications"] if one["publication_id"] == placement["live"]), None)
    champion = placement["champion"]
    served = None if live is None else (live["model_name"], live["model_version"])
    return {
        "placement": "" if item else name,
        "rules": rules,
        "decision": about[0] if about else None,
        "live": live,
        "champion": champion,
        "is_followed": champion is not None and served == (champion["model_name"], champion["model_version"]),
    }


def _placement_of(settings: Settings, conf: Mapping[str, Any]) -> str:
    """Return the placement of a run's model, as far as its version's sheet or the model's name says."""
    named = (conf.get("model"), conf.get("version"))
    sheets = [one.placement for one in list_sheets(settings) if (one.model, one.version) == named]
    others = [name for name in settings.placements if settings.model_name(name) == named[0]]
    return next(iter([*sheets, *others]), "")


def _is_about(decision: Mapping[str, Any], conf: Mapping[str, Any]) -> bool:
    return (decision["model_name"], decision["model_version"]) == (conf.get("model"), conf.get("version"))
