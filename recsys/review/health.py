"""Freshness, drift and reach at a glance, from what monitoring measured last."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Data": ("data_age_hours", "data_delay_hours", "event_volume", "rejected_share", "missing_share"),
    "Lists": ("publication_age_hours", "unpublished_hours", "coverage_share", "fallback_share"),
    "Drift": ("feature_drift", "score_drift"),
    "Quality": ("realised_ndcg",),
}
WORDS: Final = {"ok": "fine", "warn": "look at it", "breach": "breach", None: "not measured"}
TONES: Final = {"ok": "good", "warn": "open", "breach": "bad", None: ""}
RANKED: Final = ("ok", "warn", "breach")
"""From fine to bad."""

View = dict[str, Any]


def lights(measurements: Sequence[Mapping[str, Any]], placement: str) -> list[View]:
    """Return one light a group of measurements, for the whole shop and for one placement.

    Each has ``name``, ``word``, ``tone`` and ``messages`` of what is not fine (of the first figure if all is).
    """
    mine = [one for one in measurements if one["placement"] in (None, placement)]
    shown = []
    for name, measured in GROUPS.items():
        group = [one for one in mine if one["name"] in measured]
        worst = max((one["status"] for one in group), key=RANKED.index, default=None)
        told = [one["message"] for one in group if one["status"] != "ok"] or [one["message"] for one in group[:1]]
        shown.append({"name": name, "word": WORDS[worst], "tone": TONES[worst], "messages": told})
    return shown
