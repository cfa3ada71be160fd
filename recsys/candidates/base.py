"""The one interface of candidate generators, and the top-k that all share.

A generator is fitted on the history of all customers at a cut and then proposes products to blocks of
customers. To add one: write a file with a subclass of :class:`Generator`, and add it to
``recsys.candidates.GENERATORS`` and its name to ``recsys.settings.GENERATORS``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from recsys import columns as c
from recsys.history import History, Need
from recsys.settings import Settings

Scores: TypeAlias = sparse.csr_array | NDArray[np.float32]
State: TypeAlias = dict[str, sparse.csr_array | NDArray[np.generic]]
BLOCK = 256  # customers scored at once: memory is bounded by block x products
BECAUSE = "{because}"
FITS = "Fits what you usually buy."
FITS_LOOKS = "Fits what you looked at."  # told to customers who never bought


class Generator(Protocol):
    """Proposes products to customers.

    Attributes:
        name: in settings, features and reports.
        needs: the costly parts of a history that ``fit`` reads.
        scoring_needs: those of them that are there when customers are scored, too.
        keyed_by_customer: whether the fitted state holds rows of customers; such a state is kept with a
            publication's state and never in a registered model.
        sentence: what customers are told about a product that this generator carries. It may speak of
            ``{because}``, the title of what ``because`` names (where that is nothing, they are told that the
            product fits what they usually buy), and of ``{recent_buyers}`` in ``{recent_days}``.
    """

    name: str
    needs: tuple[Need, ...] = ()
    scoring_needs: tuple[Need, ...] = ()
    keyed_by_customer: bool = False
    sentence: str = FITS

    def fit(self, history: History, settings: Settings) -> None:
        """Learn from all customers' history at a cut."""

    def learn_claims(self, history: History) -> None:
        """Take note of which reasons are true, if others could be told; called where the state is to be served.

        What was learned from views and carts as well does not show that somebody bought.

        Args:
            history: that of ``fit``.
        """

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Score products for a block of customers.

        Args:
            history: the history that holds these customers' rows; its columns are those of ``fit``.
            users: (b,) rows of the history.

        Returns:
            (b, m) scores; zero in a sparse result, and -inf in a dense one, mean "not proposed".
        """

    def state(self) -> State:
        """Return what was fitted, as named matrices."""

    def restore(self, state: State, settings: Settings) -> None:
        """Take back what ``state`` returned."""

    def because(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> NDArray[np.int32]:
        """Say which of their purchases speak most for products.

        Args:
            history: holds the customers' rows.
            users: (r,) rows of the history.
            columns: (r,) proposed products.

        Returns:
            (r,) columns of products that the customers bought, -1 where none can be named.
        """
        return np.full(len(users), -1, np.int32)

    def sentences(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> list[str]:
        """Say what customers are told about products, where that differs from row to row.

        Args:
            history: holds the customers' rows.
            users: (r,) rows of the history.
            columns: (r,) proposed products.

        Returns:
            (r,) sentences, which may speak of what ``sentence`` may.
        """
        return [self.sentence] * len(users)


def only_purchases(history: History) -> bool:
    """Tell whether nothing but purchases is known of any customer's interest."""
    return bool(history.interest.nnz == history.purchases.nnz)


def tastes(weights: sparse.csr_array) -> sparse.csr_array:
    """Return log(1 + weight) of rows of a history: the tenth purchase of a product says less than the first."""
    result = weights.copy()
    result.data = np.log1p(result.data)
    return result


@dataclass(frozen=True)
class Proposals:
    """Products proposed to customers, by customer and rank.

    Attributes:
        user_idx: (r,) int32 rows of the history.
        item_idx: (r,) int32 products.
        score: (r,) float32, higher is better; comparable within one customer only.
        rank: (r,) int16 from 1.
    """

    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    score: NDArray[np.float32]
    rank: NDArray[np.int16]


def best(scores: NDArray[np.float32], columns: NDArray[np.int32], k: int) -> NDArray[np.intp]:
    """Return positions of the k highest scores, best first; equal scores in the order of ``columns``."""
    if len(scores) > k:
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= least)
    else:
        kept = np.arange(len(scores))
    order = np.lexsort((columns[kept], -scores[kept]))[:k]
    return kept[order]


def propose(
    generator: Generator, history: History, users: NDArray[np.int32], k: int, *, repeats: bool
) -> Iterator[Proposals]:
    """Yield a generator's best k products for each customer, block by block.

    Args:
        generator: already fitted.
        history: holds the customers' rows.
        users: (u,) rows of the history.
        k: products a customer, at most.
        repeats: whether products that the customer had an event with may be proposed.
    """
    for (block,) in propose_each(generator, history, users, k, (repeats,)):
        yield block


def propose_each(
    generator: Generator, history: History, users: NDArray[np.int32], k: int, variants: Sequence[bool]
) -> Iterator[tuple[Proposals, ...]]:
    """Yield what ``propose`` yields for several values of ``repeats``, scoring each block of customers once."""
    for start in range(0, len(users), BLOCK):
        block = users[start : start + BLOCK]
        scores = generator.scores(history, block)
        yield tuple(_top(scores, history, block, k, repeats) for repeats in variants)


def _top(scores: Scores, history: History, users: NDArray[np.int32], k: int, repeats: bool) -> Proposals:
    chosen: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
    everything = np.arange(history.shape[1], dtype=np.int32)
    for row, user in enumerate(users):
        if isinstance(scores, np.ndarray):
            values, columns = scores[row], everything
            usable = np.isfinite(values)
        else:
            span = slice(scores.indptr[row], scores.indptr[row + 1])
            values, columns = scores.data[span], scores.indices[span]
            usable = values > 0
        if not repeats:
            seen = history.seen.indices[history.seen.indptr[user] : history.seen.indptr[user + 1]]
            usable = usable & ~np.isin(columns, seen)
        values, columns = values[usable], columns[usable]
        order = best(values, columns, k)
        chosen.append((columns[order], values[order]))
    lengths = [len(columns) for columns, _ in chosen]
    none = np.empty(0, np.int32)
    return Proposals(
        user_idx=np.repeat(users, lengths).astype(np.int32),
        item_idx=history.items[np.concatenate([none, *(columns for columns, _ in chosen)])],
        score=np.concatenate([none.astype(np.float32), *(values for _, values in chosen)]).astype(np.float32),
        rank=np.concatenate([none, *(np.arange(1, n + 1) for n in lengths)]).astype(np.int16),
    )


def write_proposals(blocks: Iterable[Proposals], path: Path) -> Path:
    """Write proposals to Parquet: user_idx, item_idx, score, rank; return the path."""
    schema = pa.schema(
        [
            (c.USER_IDX, pa.int32()),
            (c.ITEM_IDX, pa.int32()),
            (c.SCORE, pa.float32()),
            (c.RANK, pa.int16()),
        ]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in blocks:
            columns = [block.user_idx, block.item_idx, block.score, block.rank]
            writer.write_table(pa.table(columns, schema=schema))
    return path


def save_state(state: State, path: Path) -> None:
    """Write named matrices to one NPZ file."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        else:
            shape = np.asarray(value.shape)
            arrays |= {
                f"{name}.data": value.data,
                f"{name}.indices": value.indices,
                f"{name}.indptr": value.indptr,
                f"{name}.shape": shape,
            }
    np.savez(path, **arrays)  # type: ignore[arg-type]


def load_state(path: Path) -> State:
    """Read what ``save_state`` wrote; no pickle is allowed in it."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    state: State = {name: value for name, value in arrays.items() if "." not in name}
    for name in {name.split(".")[0] for name in arrays if "." in name}:
        parts = tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
        state[name] = sparse.csr_array(parts, shape=tuple(arrays[f"{name}.shape"]))
    return state
