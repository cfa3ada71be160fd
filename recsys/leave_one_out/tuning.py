"""Tunes each generator on the validation item: what is best of a small grid, by NDCG@10 over the full catalogue."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Generator, Proposals, make_generator
from recsys.candidates.base import propose_each
from recsys.leave_one_out.grids import Sweep
from recsys.leave_one_out.holding import Labels, Stand
from recsys.settings import Settings

K: Final = 10


@dataclass(frozen=True)
class Choice:
    """What was chosen for one generator.

    Attributes:
        generator: its name.
        changes: settings of the candidates that it is fitted under.
        repeats: whether it proposes what the customer had before.
        ndcg: NDCG@10 of the validation item, over the customers that it was tuned on.
        trials: how many settings were tried.
    """

    generator: str
    changes: Mapping[str, Any]
    repeats: bool
    ndcg: float
    trials: int

    def applied(self, settings: Settings) -> Settings:
        """Return the settings with the changes."""
        return with_candidates(settings, self.changes)


def with_candidates(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with some of the candidates' changed."""
    return settings.model_copy(update={"candidates": settings.candidates.model_copy(update=dict(changes))})


def fit(stand: Stand, settings: Settings, generator: str) -> Generator:
    """Fit a generator on what is known."""
    made = make_generator(generator)
    made.fit(stand.history(settings), settings)
    return made


class Tuner:
    """Tries settings of generators at one stand."""

    def __init__(
        self,
        stand: Stand,
        settings: Settings,
        labels: Labels,
        variants: Sequence[bool],
        tell: Callable[[str], None],
    ) -> None:
        self._stand, self._settings, self._labels = stand, settings, labels
        self._variants, self._tell = tuple(variants), tell

    def tune(self, generator: str, sweeps: Sequence[Sweep]) -> tuple[Choice, Generator]:
        """Return what is best of a generator, and the generator fitted so."""
        best, fitted = self._try(generator, {}, 1)
        for name, values in sweeps:
            kept = dict(best.changes)
            for value in values:
                if value == getattr(best.applied(self._settings).candidates, name):
                    continue
                found, made = self._try(generator, kept | {name: value}, best.trials + 1)
                if found.ndcg > best.ndcg:
                    best, fitted = found, made
                else:
                    best = Choice(generator, best.changes, best.repeats, best.ndcg, found.trials)
        return best, fitted

    def _try(self, generator: str, changes: Mapping[str, Any], trials: int) -> tuple[Choice, Generator]:
        self._tell(generator)
        settings = with_candidates(self._settings, changes)
        fitted = fit(self._stand, settings, generator)
        history = self._stand.history(settings)
        blocks = list(propose_each(fitted, history, self._labels.users, K, self._variants))
        # Where both are equally good the first variant, which leaves out what was seen, is the simpler claim.
        scores = [
            float(ndcg_of((block[place] for block in blocks), self._labels).mean())
            for place in range(len(self._variants))
        ]
        place = int(np.argmax(scores))
        return Choice(generator, dict(changes), self._variants[place], scores[place], trials), fitted


def ndcg_of(blocks: Iterable[Proposals], labels: Labels) -> NDArray[np.float64]:
    """Return NDCG@10 of each customer: with one relevant product that is 1 / log2(rank + 1)."""
    found = np.zeros(len(labels.users))
    for block in blocks:
        place = np.searchsorted(labels.users, block.user_idx)
        hit = (labels.items[place] == block.item_idx) & (block.rank <= K)
        found[place[hit]] = 1 / np.log2(block.rank[hit] + 1.0)
    return found
