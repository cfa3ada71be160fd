"""The feature catalogue: what every column that the ranker reads means, and what it contributes."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recsys.assets import read_sql
from recsys.candidates import GENERATORS
from recsys.evaluation import words
from recsys.features import TABLES
from recsys.features.assemble import CROSSED, FUSED_RANK
from recsys.features.tables import meanings_of

_KEYS: Final = {
    "user_idx": "customer",
    "user_market": "customer's market",
    "item_idx": "product",
    "category_no": "category",
    "family_no": "family",
    "brand_no": "brand",
}
CANDIDATES: Final = "candidates"


@dataclass(frozen=True)
class Feature:
    """One column of the ranking set: where it comes from, one row per what, and its line of meaning."""

    name: str
    table: str
    grain: str
    meaning: str


def list_features(generators: Sequence[str]) -> list[Feature]:
    """Return every feature in the order of the ranker's columns.

    Args:
        generators: the recipe's.
    """
    features = [
        Feature(name, table, _grain(keys), meaning)
        for table, keys in TABLES.items()
        for name, meaning in meanings_of(read_sql("features", f"{table}.sql")).items()
    ]
    pair = _grain(("user_idx", "item_idx"))
    features += [Feature(name, "two tables", pair, crossed.meaning) for name, crossed in CROSSED.items()]
    for generator in generators:
        features += [
            Feature(f"{generator}_score", CANDIDATES, pair, f"score by {generator}: {_about(generator)}"),
            Feature(
                f"{generator}_rank", CANDIDATES, pair, f"rank by {generator}, from 1; empty where it proposed none"
            ),
        ]
    return [*features, Feature(FUSED_RANK, CANDIDATES, pair, "rank after fusing all generators, from 1")]


def _grain(keys: Sequence[str]) -> str:
    return " and ".join(_KEYS[key] for key in keys)


def _about(generator: str) -> str:
    """Return the first sentence of a generator's description."""
    text = inspect.getdoc(GENERATORS[generator]) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def catalogue(evaluation: Mapping[str, Any], generators: Sequence[str]) -> str:
    """Return the catalogue in Markdown, with each feature's share of the gain in every placement's ranker.

    Args:
        evaluation: the evaluation JSON.
        generators: the recipe's.
    """
    placements = list(evaluation["placements"])
    shares = {name: _shares(evaluation["placements"][name]) for name in placements}
    lines = [
        "# Feature catalogue",
        "",
        f"Every column that the rankers as of {words.day(evaluation['as_of'])} read. *Gain* is a feature's share of "
        "what all contribute to the ranking in the trees of the evaluation twin; it does not say that a feature "
        "causes anything, and features that say the same share what they are worth. All are known before the cut.",
    ]
    features = list_features(generators)
    for table in dict.fromkeys(one.table for one in features):
        own = [one for one in features if one.table == table]
        lines += ["", f"## {table}", "", f"One row per {own[0].grain}.", ""]
        lines += [
            f"| feature | meaning | {' | '.join(f'gain, {name}' for name in placements)} |",
            f"|---|---|{'---:|' * len(placements)}",
        ]
        for one in own:
            gains = " | ".join(_percent(shares[name].get(one.name)) for name in placements)
            lines.append(f"| `{one.name}` | {one.meaning} | {gains} |")
    return "\n".join(lines) + "\n"


def _shares(figures: Mapping[str, Any]) -> dict[str, float]:
    gains = {row["feature"]: row["gain"] for row in figures.get("importance", [])}
    total = sum(gains.values()) or 1.0
    return {name: gain / total for name, gain in gains.items()}


def _percent(share: float | None) -> str:
    return words.MISSING if share is None else f"{100 * share:.1f} %"
