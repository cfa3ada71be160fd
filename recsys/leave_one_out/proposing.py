"""The proposals of tuned generators at one stand: a folder a block of customers, a file a generator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.candidates import Generator
from recsys.candidates.base import propose_each, write_proposals
from recsys.leave_one_out.holding import Stand
from recsys.leave_one_out.tuning import Choice
from recsys.lists import Lists
from recsys.settings import Settings

BLOCK: Final = 2_000  # customers whose candidates are in memory at once


@dataclass(frozen=True)
class Block:
    """Some customers, ascending, and the file of each generator's proposals to them."""

    users: NDArray[np.int32]
    proposals: Mapping[str, Path]


class Proposed:
    """Collects the generators' proposals to customers at one stand."""

    def __init__(self, stand: Stand, users: NDArray[np.int32], folder: Path) -> None:
        """Lay the blocks.

        Args:
            stand: what is known.
            users: whom to propose to, ascending.
            folder: where the files go.
        """
        self._stand = stand
        self._parts = [users[start : start + BLOCK] for start in range(0, len(users), BLOCK)]
        self._folders = [folder / f"{number:04d}" for number in range(len(self._parts))]
        for one in self._folders:
            one.mkdir(parents=True)

    def add(self, settings: Settings, fitted: Generator, choice: Choice) -> int:
        """Write what a fitted generator proposes, and return how many rows that are."""
        under = choice.applied(settings)
        history, rows = self._stand.history(under), 0
        for users, folder in zip(self._parts, self._folders, strict=True):
            made = propose_each(fitted, history, users, under.candidates.per_generator, (choice.repeats,))
            path = write_proposals((block for (block,) in made), folder / f"{choice.generator}.parquet")
            rows += pq.read_metadata(path).num_rows
        return rows

    def blocks(self, generators: Sequence[str]) -> list[Block]:
        """Return the blocks, with the files of some generators."""
        return [
            Block(users, {name: folder / f"{name}.parquet" for name in generators})
            for users, folder in zip(self._parts, self._folders, strict=True)
        ]

    def lists(self, generator: str, k: int) -> Lists:
        """Return a generator's first k of every customer."""
        parts = [Lists.read(folder / f"{generator}.parquet", k) for folder in self._folders]
        return joined_lists(parts)


def joined_lists(parts: Sequence[Lists]) -> Lists:
    """Return lists of different customers as one."""
    names = (c.USER_IDX, c.ITEM_IDX, c.RANK)
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Lists(*columns)
