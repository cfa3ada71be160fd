"""What is tried of each generator, on the validation item alone.

A generator that is not listed here is tried once, as the settings have it: nothing has to be added for a new one.
"""

from collections.abc import Mapping
from typing import Any, Final

Sweep = tuple[str, tuple[Any, ...]]

FOREVER: Final = 36_500.0  # days or positions: longer than any file reaches back
# What a file must have before a generator can say anything that another one doesn't.
_NEEDS: Final = {
    "popularity_segment": "segments",
    "popularity_market": "markets",
    "popularity_category": "item attributes",
    "repurchase": "repeats",
    "due": "repeats",
    "content": "item attributes",
}
# Those that say something of their own; the others are variants, which cost time and add little.
BY_DEFAULT: Final = (
    "popularity",
    "repurchase",
    "item_cf",
    "item_bm25",
    "user_cf",
    "transitions",
    "als",
    "ease",
    "content",
)
# In steps: a step is a customer's usual time from one event to the next, one position where there is only an order.
_STEPS: Final = {"half_life_days": (0.7, 1.5, 4.0, FOREVER), "popularity_days": (1.0, 3.0, 30.0, FOREVER)}

# One setting after the other is swept, and what is best is kept for the sweeps that follow.
_SWEEPS: Final[Mapping[str, tuple[Sweep, ...]]] = {
    "popularity": (("popularity_days", _STEPS["popularity_days"]),),
    "item_cf": (("half_life_days", _STEPS["half_life_days"]), ("item_neighbours", (100, 1000))),
    "user_cf": (("half_life_days", _STEPS["half_life_days"]), ("user_neighbours", (50, 200))),
    "item_bm25": (("half_life_days", (4.0, FOREVER)),),
    "transitions": (
        ("transition_half_life_days", (FOREVER,)),
        ("transition_shrinkage", (1.0,)),
        ("transition_damping", (0.3, 0.5)),
        ("sequence_decay", (0.6, 0.8)),
    ),
    "ease": (("ease_l2", (50.0,)),),
    "als": (
        ("half_life_days", _STEPS["half_life_days"][1:]),
        ("als_alpha", (5.0, 20.0)),
        ("als_regularisation", (0.1, 5.0)),
    ),
}


def missing_need(generator: str, *, repeats: bool, attributes: bool) -> str | None:
    """Return what a generator needs that the file doesn't have, None if nothing is missing."""
    there = {None, *(["repeats"] if repeats else []), *(["item attributes"] if attributes else [])}
    needed = _NEEDS.get(generator)
    return None if needed in there else needed


def sweeps_of(generator: str, step_days: float, known: Mapping[str, Any]) -> list[Sweep]:
    """Return the sweeps of a generator, in the settings' own units.

    Args:
        generator: its name.
        step_days: days from one event of a customer to the next.
        known: the candidates' settings; a setting that isn't there is not swept.
    """
    return [
        (name, tuple(_scaled(name, value, step_days) for value in values))
        for name, values in _SWEEPS.get(generator, ())
        if name in known
    ]


def _scaled(name: str, value: Any, step_days: float) -> Any:
    if name not in _STEPS or value == FOREVER:
        return int(value) if name == "popularity_days" else value
    days = value * step_days
    return max(1, round(days)) if name == "popularity_days" else round(days, 3)
