"""The metrics once more, slowly, with sets and loops: an oracle that shares no code with the library."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log, log2, nan

Shown = Sequence[int]  # products of one list by rank, -1 where there is none


def first_times(shown: Shown, k: int) -> list[int]:
    """The products up to rank k; a product shown again is nothing."""
    return [item if item not in shown[:place] else -1 for place, item in enumerate(shown[:k])]


def hits(shown: Shown, relevant: set[int], k: int) -> list[int]:
    return [rank for rank, item in enumerate(first_times(shown, k), 1) if item in relevant]


def ndcg(shown: Shown, relevant: set[int], k: int) -> float:
    ideal = sum(1 / log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    return sum(1 / log2(rank + 1) for rank in hits(shown, relevant, k)) / ideal


def recall(shown: Shown, relevant: set[int], k: int) -> float:
    return len(set(shown[:k]) & relevant) / len(relevant)


def precision(shown: Shown, relevant: set[int], k: int) -> float:
    return len(set(shown[:k]) & relevant) / k


def hit_rate(shown: Shown, relevant: set[int], k: int) -> float:
    return float(bool(set(shown[:k]) & relevant))


def average_precision(shown: Shown, relevant: set[int], k: int) -> float:
    at = hits(shown, relevant, k)
    return sum(len([one for one in at if one <= rank]) / rank for rank in at) / min(k, len(relevant))


def reciprocal_rank(shown: Shown, relevant: set[int], k: int) -> float:
    return 1 / min(hits(shown, relevant, k), default=float("inf"))


RANKING = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}


def coverage(lists: Sequence[Shown], catalogue: set[int]) -> float:
    return len({item for one in lists for item in one} & catalogue) / len(catalogue)


def exposure_gini(lists: Sequence[Shown], catalogue: set[int]) -> float:
    """Half the mean absolute difference between all pairs, divided by the mean: the textbook's definition."""
    counts = Counter(item for one in lists for item in one)
    exposure = [counts[item] for item in catalogue]
    if not sum(exposure):
        return nan
    gaps = sum(abs(a - b) for a in exposure for b in exposure)
    return gaps / (2 * len(exposure) * sum(exposure))


def novelty(shown: Shown, buyers: Mapping[int, int], customers: int) -> float:
    bits = [-log2(max(buyers[item], 1) / customers) for item in shown if item >= 0]
    return sum(bits) / len(bits) if bits else nan


def diversity(shown: Shown, groups: Mapping[int, int]) -> float:
    known = [groups[item] for item in shown if item >= 0 and groups[item] >= 0]
    pairs = [(a, b) for place, a in enumerate(known) for b in known[place + 1 :]]
    return sum(a != b for a, b in pairs) / len(pairs) if pairs else nan


def serendipity(shown: Shown, relevant: set[int], expected: Shown) -> float:
    return len((set(shown) & relevant) - set(expected)) / len(shown)


def calibration(shown: Shown, groups: Mapping[int, int], history: Mapping[int, float]) -> float:
    listed = Counter(groups[item] for item in shown if item >= 0 and groups[item] >= 0)
    wanted, total, length = {g: n for g, n in history.items() if n > 0}, sum(history.values()), sum(listed.values())
    if not total or not length:
        return nan
    share = {group: weight / total for group, weight in wanted.items()}
    return sum(p * log(p / (0.99 * listed[group] / length + 0.01 * p)) for group, p in share.items())
