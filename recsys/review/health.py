"""Freshness, drift and reach at a glance, from what monitoring measured last."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from recsys.monitoring import BREACH, OK, RANKED, WARN
from recsys.monitoring.records import FEATURE_DRIFT, MODEL_AGE, REALISED_NDCG, SCORE_DRIFT

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Freshness": ("data_age_hours", "data_delay_hours", "publication_age_hours", "unpublished_hours", MODEL_AGE),
    "Data": ("event_volume", "rejected_share", "missing_share"),
    "Drift": (FEATURE_DRIFT, SCORE_DRIFT),
    "Reach": ("coverage_share", "fallback_share"),
    "Quality": (REALISED_NDCG,),
}
WORDS: Final = {OK: "fine", WARN: "look at it", BREACH: "breach", None: "not measured"}
TONES: Final = {OK: "good", WARN: "open", BREACH: "bad", None: ""}

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
        told = [one["message"] for one in group if one["status"] != OK] or [one["message"] for one in group[:1]]
        shown.append({"name": name, "word": WORDS[worst], "tone": TONES[worst], "messages": told})
    return shown
