"""The evidence behind a ranked row: which generator carries it, and from which product of the customer's."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from recsys import columns as c
from recsys.candidates import Generator
from recsys.candidates.base import BECAUSE, FITS, FITS_LOOKS
from recsys.fusion import Candidates
from recsys.history import History
from recsys.settings import Settings
from recsys.shaping import Shaped, values_at

OWN = "repurchase"
DUE = "due"
RHYTHM = 3  # purchases from which on a customer can be told how often they buy a product
RANKED = pa.schema(
    [
        (c.USER_IDX, pa.int32()),
        (c.ITEM_IDX, pa.int32()),
        (c.RANK, pa.int16()),
        (c.SCORE, pa.float64()),
        (c.SOURCE, pa.string()),
        ("carrier", pa.string()),
        ("sentence", pa.string()),
        ("pair_lines", pa.int32()),
        ("because_idx", pa.int32()),
        ("recent_buyers", pa.int32()),
        ("is_sensitive", pa.bool_()),
        (c.PROPENSITY, pa.float64()),
    ]
)


def add_evidence(
    rows: Candidates,
    scores: NDArray[np.float64],
    shaped: Shaped,
    sensitive: NDArray[np.bool_],
    history: History,
    told: History,
    generators: Sequence[Generator],
    settings: Settings,
) -> pa.Table:
    """Return ranked rows with what a reason may claim.

    A product that the customer bought is carried by that, or by its rhythm if it is due; any other by the generator
    that ranked it highest (in the settings' order where two did).

    Args:
        rows: (r,) the rows.
        scores: (r,) the ranker's.
        shaped: (r,) their ranks and propensities.
        sensitive: (m,) the history's products that no reason may name.
        history: of the customers.
        told: what of it reasons may tell (see :func:`without`).
        generators: fitted, those that proposed.
        settings: with the recipe applied.

    Returns:
        A table with the schema ``RANKED``.
    """
    users, column = rows.user_idx, np.searchsorted(history.items, rows.item_idx)
    names = list(settings.candidates.generators)
    proposed = rows.ranks > 0
    others = np.where(proposed, rows.ranks, np.inf)
    others[:, [name in (OWN, DUE) for name in names]] = np.inf
    lines = values_at(history.purchases, users, column).astype(np.int32)
    carrier = np.where(lines > 0, OWN, np.asarray(names)[others.argmin(axis=1)])
    if DUE in names:
        carrier[(lines >= RHYTHM) & proposed[:, names.index(DUE)]] = DUE
    because, sentences = _say(users, column, carrier, told, generators, sensitive)
    return pa.table(
        [
            pa.array(users, pa.int32()),
            pa.array(rows.item_idx, pa.int32()),
            pa.array(shaped.rank, pa.int16()),
            pa.array(scores, pa.float64()),
            _joined(names, proposed),
            pa.array(carrier.tolist(), pa.string()),
            pa.array(sentences, pa.string()),
            pa.array(lines, pa.int32()),
            pa.array(because, pa.int32(), mask=because < 0),
            pa.array(history.popularity[column].astype(np.int32), pa.int32()),
            pa.array(sensitive[column], pa.bool_()),
            pa.array(shaped.propensity, pa.float64(), from_pandas=True),
        ],
        schema=RANKED,
    )


def _joined(names: Sequence[str], proposed: NDArray[np.bool_]) -> pa.Array:
    """Return (r,) the names of the generators that proposed each row; what many rows share is put together once."""
    bits = np.int64(1) << np.arange(len(names), dtype=np.int64)
    found, place = np.unique(proposed @ bits, return_inverse=True)
    texts = [",".join(name for name, bit in zip(names, bits, strict=True) if code & bit) for code in found]
    return pa.DictionaryArray.from_arrays(pa.array(place, pa.int32()), pa.array(texts, pa.string())).cast(pa.string())


def _say(
    users: NDArray[np.int32],
    column: NDArray[np.intp],
    carrier: NDArray[np.str_],
    told: History,
    generators: Sequence[Generator],
    sensitive: NDArray[np.bool_],
) -> tuple[NDArray[np.int32], list[str]]:
    """Return the item_idx of the customer's product that speaks most for each row's, -1 where none does, and what
    customers are told. A sensitive product speaks for none.
    """
    because, sentences = np.full(len(users), -1, np.int32), np.full(len(users), FITS, object)
    for generator in generators:
        rows = np.flatnonzero(carrier == generator.name)
        own = generator.because(told, users[rows], column[rows])
        own = np.where((own >= 0) & sensitive[own], -1, own)
        because[rows[own >= 0]] = told.items[own[own >= 0]]
        sentences[rows] = generator.sentences(told, users[rows], column[rows])
    is_unnamed = (because < 0) & np.array([BECAUSE in sentence for sentence in sentences], bool)
    sentences[is_unnamed] = FITS
    looks_only = np.diff(told.purchases.indptr)[users] == 0
    sentences[looks_only & (sentences == FITS)] = FITS_LOOKS
    return because, sentences.tolist()


def without(history: History, products: NDArray[np.bool_]) -> History:
    """Return a history in which some products were never bought."""
    kept = history.purchases
    data = np.where(products[kept.indices], 0, kept.data).astype(kept.data.dtype)
    return replace(history, purchases=sparse.csr_array((data, kept.indices, kept.indptr), shape=kept.shape))
