"""The one interface of candidate generators, and the top-k that all share.

A generator is fitted on the history of all customers at a cut and then proposes products to blocks of
customers. To add one: write a file with a subclass of :class:`Generator`, and add it to
``recsys.candidates.GENERATORS`` and its name to ``recsys.settings.GENERATORS``.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from recsys import columns as c
from recsys.candidates.choosing import Proposals as Proposals
from recsys.candidates.choosing import Scores as Scores
from recsys.candidates.choosing import choose
from recsys.history import History, Need
from recsys.settings import Settings

State: TypeAlias = dict[str, sparse.csr_array | NDArray[np.generic]]
BLOCK = 256  # customers scored at once: memory is bounded by block x products
ROOM = 6_000_000  # scores at once where every product gets one: what is larger is asked of the system anew each time
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
        is_dense: whether every product gets a score of its own for every customer.
        by_placement: whether the scores depend on the placement that the history names.
        sentence: what customers are told about a product that this generator carries. It may speak of
            ``{because}``, the title of what ``because`` names (where that is nothing, they are told that the
            product fits what they usually buy), and of ``{recent_buyers}`` in ``{recent_days}``.
    """

    name: str
    needs: tuple[Need, ...] = ()
    scoring_needs: tuple[Need, ...] = ()
    keyed_by_customer: bool = False
    is_dense: bool = False
    by_placement: bool = False
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
    parts = (np.log1p(weights.data), weights.indices, weights.indptr)
    return sparse.csr_array(parts, shape=weights.shape)


def draw_customers(interest: sparse.csr_array, most: int, seed: int) -> NDArray[np.int32]:
    """Return a seeded draw of customers who have a history, ascending; all of them if they are few."""
    known = np.flatnonzero(np.diff(interest.indptr)).astype(np.int32)
    if len(known) <= most:
        return known
    return np.sort(np.random.default_rng(seed).choice(known, most, replace=False))


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
    size = min(BLOCK, max(16, ROOM // max(history.shape[1], 1))) if generator.is_dense else BLOCK
    for start in range(0, len(users), size):
        block = users[start : start + size]
        scores = generator.scores(history, block)
        yield choose(scores, history, block, k, variants)


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
