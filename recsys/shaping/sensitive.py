"""Products of categories that not everybody wants to see, and that no reason may name."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.assets import read_sql
from recsys.settings import ShapingSettings
from recsys.shaping.pairs import pair_keys

STEP = " > "
OWN_PATTERNS = "own"
MOST = 0.5  # of the products: a kind that is more is what the shop lives by


def sensitive_groups(categories: Sequence[str], settings: ShapingSettings) -> NDArray[np.int32]:
    """Number the sensitive categories of products.

    A pattern is matched, in any case, against the category path up to each of its steps. What it matches first is
    the category that counts: under ``Drugs > Cold And Flu > Cough Syrup`` the pattern ``*cold and flu*`` finds
    ``Drugs > Cold And Flu``, and all that is below is one group. A kind that more than half of the products are of is
    what the shop sells: it isn't sensitive there, unless the settings name its categories.

    Args:
        categories: (m,) category paths; empty where unknown.
        settings: kinds and patterns in force.

    Returns:
        (m,) the number of each product's sensitive category, -1 where it isn't sensitive.
    """
    distinct = {category: number for number, category in enumerate(dict.fromkeys(categories))}
    number = np.array([distinct[category] for category in categories], np.intp)
    groups: dict[str, int] = {}
    found = np.full(len(distinct), -1, np.int32)
    for kind, patterns in _patterns(settings).items():
        matches = _matcher(patterns)
        of_kind = np.array([_group(path, matches, groups) for path in distinct], np.int32)
        if kind == OWN_PATTERNS or (of_kind[number] >= 0).sum() <= len(number) * MOST:
            found = np.where(found < 0, of_kind, found)
    return found[number]


def bought_groups(
    user_idx: NDArray[np.int32],
    group: NDArray[np.int32],
    purchases: sparse.csr_array,
    groups: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Tell of rows whether their customer bought in their sensitive category.

    Args:
        user_idx: (r,) customers.
        group: (r,) numbers of the rows' categories.
        purchases: (n, m) purchase lines.
        groups: (m,) the numbers of all products' categories.
    """
    sensitive = np.flatnonzero(groups >= 0)
    users = np.unique(user_idx)
    bought = purchases[users][:, sensitive].tocoo()
    keys = pair_keys(users[bought.row], groups[sensitive][bought.col])
    return np.isin(pair_keys(user_idx, group), keys)


def _patterns(settings: ShapingSettings) -> dict[str, list[str]]:
    """Return the patterns in force by kind, the shop's own first."""
    patterns = {OWN_PATTERNS: [pattern.lower() for pattern in settings.sensitive_categories]}
    for row in csv.DictReader(io.StringIO(read_sql("shaping", "sensitive.csv"))):
        if row["kind"] in settings.sensitive_kinds:
            patterns.setdefault(row["kind"], []).append(row["pattern"])
    return patterns


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    if not patterns:
        return lambda path: False
    any_of = re.compile("|".join(translate(pattern) for pattern in patterns))
    # With the blank before it, "* wine" finds a path that is just "wine", and still not "swine".
    return lambda path: any_of.match(path) is not None or any_of.match(f" {path}") is not None


def _group(category: str, matches: Callable[[str], bool], groups: dict[str, int]) -> int:
    """Return the number of the shortest part of a path that matches, -1 if none does."""
    steps = accumulate(category.lower().split(STEP), lambda path, step: path + STEP + step)
    path = next((path for path in steps if matches(path)), None)
    return -1 if path is None else groups.setdefault(path, len(groups))
