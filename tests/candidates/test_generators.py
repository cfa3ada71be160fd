"""What every generator must do, on a matrix whose answers are planted."""

from typing import get_args

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from scipy import sparse

from recsys.candidates import GENERATORS, Generator, make_generator, propose
from recsys.candidates.base import load_state, save_state
from recsys.candidates.item_cf import ItemCF
from recsys.candidates.user_cf import UserCF
from recsys.errors import SettingsError
from recsys.settings import GENERATORS as NAMES
from recsys.settings import CandidateSettings, Settings, Similarity, load_settings
from tests.support.matrices import history_of, planted

SETTINGS = load_settings(
    threads=1,
    candidates=CandidateSettings(
        als_factors=6,
        als_regularisation=0.1,
        user_neighbours=10,
        pearson_shrinkage=1.0,
        bpr_factors=8,
        bpr_learning_rate=0.1,
        bpr_iterations=200,
        ease_l2=1.0,
    ),
)
SIMILARITIES = ("cf", "pearson", "tfidf", "bm25", "conditional")
COLLABORATIVE = (*(f"{side}_{kind}" for side in ("item", "user") for kind in SIMILARITIES), "als", "bpr", "ease")
CUSTOMERS, PRODUCTS = 12, 8
MISSING = [group * PRODUCTS * 10 for group in range(4)]


def proposals(name: str, history, *, k: int = 5, repeats: bool = True, users=None) -> dict[int, list[int]]:
    generator = make_generator(name)
    generator.fit(history, SETTINGS)
    users = np.arange(history.shape[0], dtype=np.int32) if users is None else users
    lists: dict[int, list[int]] = {int(user): [] for user in users}
    for block in propose(generator, history, users, k, repeats=repeats):
        for user, item in zip(block.user_idx.tolist(), block.item_idx.tolist(), strict=True):
            lists[user].append(item)
    return lists


def first_new(generator: Generator, settings: Settings = SETTINGS) -> list[int]:
    """Return the first new product of each group's first customer."""
    history = history_of(planted())
    generator.fit(history, settings)
    first = np.arange(4, dtype=np.int32) * CUSTOMERS
    found = next(iter(propose(generator, history, first, 1, repeats=False)))
    assert found.user_idx.tolist() == first.tolist()
    return found.item_idx.tolist()


@pytest.mark.parametrize("name", COLLABORATIVE)
def test_collaborative_filtering_finds_the_missing_product_of_the_group(name: str) -> None:
    assert first_new(make_generator(name)) == MISSING


@pytest.mark.parametrize("similarity", get_args(Similarity))
@pytest.mark.parametrize("kind", [ItemCF, UserCF])
def test_neighbours_are_of_the_similarity_that_is_set(kind: type[ItemCF | UserCF], similarity: Similarity) -> None:
    chosen = SETTINGS.candidates.model_copy(update={"similarity": similarity})
    settings = SETTINGS.model_copy(update={"candidates": chosen})
    set_so, fixed = kind(), kind(similarity)
    assert first_new(set_so, settings) == first_new(fixed) == MISSING
    assert {name: part.tolist() for name, part in dense(set_so)} == {name: part.tolist() for name, part in dense(fixed)}


def dense(generator: Generator) -> list[tuple[str, np.ndarray]]:
    return [(name, part.toarray()) for name, part in generator.state().items()]


def test_every_generator_stands_in_the_settings_under_its_own_name() -> None:
    assert tuple(GENERATORS) == NAMES
    assert [make_generator(name).name for name in NAMES] == list(NAMES)


def test_repurchase_orders_own_products_by_decayed_counts() -> None:
    history = history_of(np.array([[0, 3, 1, 2], [1, 0, 0, 0]]))
    assert proposals("repurchase", history) == {0: [10, 30, 20], 1: [0]}


def test_popularity_shows_everyone_the_products_with_the_most_recent_buyers() -> None:
    history = history_of(np.array([[1, 0, 0], [0, 0, 0]]), popularity=np.array([2.0, 7.0, 0.0]))
    assert proposals("popularity", history) == {0: [10, 0], 1: [10, 0]}
    assert proposals("popularity", history, repeats=False) == {0: [10], 1: [10, 0]}


@pytest.mark.parametrize("name", GENERATORS)
def test_proposals_are_ordered_unique_and_at_most_k(name: str) -> None:
    history = history_of(planted())
    generator = make_generator(name)
    generator.fit(history, SETTINGS)
    users = np.arange(history.shape[0], dtype=np.int32)
    for block in propose(generator, history, users, 7, repeats=True):
        for user in np.unique(block.user_idx):
            own = block.user_idx == user
            assert block.rank[own].tolist() == list(range(1, own.sum() + 1))
            assert own.sum() <= 7
            assert len(set(block.item_idx[own].tolist())) == own.sum()
            assert (np.diff(block.score[own]) <= 0).all()


@pytest.mark.parametrize("name", GENERATORS)
def test_nothing_seen_is_proposed_where_repeats_are_not_wanted(name: str) -> None:
    counts = planted()
    lists = proposals(name, history_of(counts), k=50, repeats=False)
    for user, items in lists.items():
        assert not any(counts[user, item // 10] for item in items)


@pytest.mark.parametrize("name", GENERATORS)
def test_blocks_and_order_of_customers_do_not_matter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_of(planted())
    whole = proposals(name, history)
    monkeypatch.setattr("recsys.candidates.base.BLOCK", 5)
    assert proposals(name, history) == whole
    alone = proposals(name, history, users=np.array([17], np.int32))
    assert alone == {17: whole[17]}


@pytest.mark.parametrize("name", GENERATORS)
def test_state_survives_a_file(name: str, tmp_path) -> None:
    history = history_of(planted())
    fitted, restored = make_generator(name), make_generator(name)
    fitted.fit(history, SETTINGS)
    save_state(fitted.state(), tmp_path / "state.npz")
    restored.restore(load_state(tmp_path / "state.npz"), SETTINGS)
    users = np.arange(history.shape[0], dtype=np.int32)
    before, after = (list(propose(g, history, users, 6, repeats=True)) for g in (fitted, restored))
    assert all(
        (a.item_idx == b.item_idx).all() and (a.score == b.score).all() for a, b in zip(before, after, strict=True)
    )


@pytest.mark.parametrize("name", GENERATORS)
def test_a_customer_without_history_breaks_nothing(name: str) -> None:
    counts = planted()
    counts[5] = 0
    lists = proposals(name, history_of(counts))
    if not name.startswith("popularity") and name not in ("als", "newcomers"):
        assert lists[5] == []


@pytest.mark.parametrize("name", GENERATORS)
def test_only_generators_keyed_by_customer_keep_rows_of_customers(name: str) -> None:
    history = history_of(planted(groups=5, customers=9, products=7))
    generator = make_generator(name)
    generator.fit(history, SETTINGS)
    has_rows = any(matrix.shape[0] == 45 for matrix in generator.state().values())
    assert has_rows == generator.keyed_by_customer


def test_als_scores_customers_as_it_was_fitted() -> None:
    # Where alternating least squares has settled, solving a customer again gives the factors of the fit.
    chosen = SETTINGS.candidates.model_copy(update={"als_alpha": 3.0, "als_iterations": 200})
    settings = SETTINGS.model_copy(update={"candidates": chosen})
    history = history_of(planted())
    ours = make_generator("als")
    ours.fit(history, settings)
    library = AlternatingLeastSquares(factors=6, regularization=0.1, alpha=1.0, use_gpu=False)
    library.item_factors = ours.factors
    weighted = history.weights.toarray()
    confidence = sparse.csr_matrix(np.where(weighted > 0, 1 + 3.0 * np.log1p(weighted), 0).astype(np.float32))
    expected = library.recalculate_user(np.arange(3), confidence[:3]) @ ours.factors.T
    assert np.asarray(ours.scores(history, np.arange(3, dtype=np.int32))) == pytest.approx(expected, abs=2e-3)


def test_als_minimises_what_it_says() -> None:
    # The loss of Hu, Koren and Volinsky, worked out densely: a fit must beat products' factors that are moved a bit.
    history = history_of(planted())
    ours = make_generator("als")
    chosen = SETTINGS.candidates.model_copy(update={"als_alpha": 3.0, "als_iterations": 200})
    ours.fit(history, SETTINGS.model_copy(update={"candidates": chosen}))
    weighted = history.weights.toarray().astype(np.float64)
    bought, confidence = (weighted > 0).astype(float), 1 + np.where(weighted > 0, 3.0 * np.log1p(weighted), 0)

    def loss(factors: np.ndarray) -> float:
        customers = np.stack(
            [
                np.linalg.solve((factors.T * c) @ factors + 0.1 * np.eye(6), (factors.T * c) @ p)
                for c, p in zip(confidence, bought, strict=True)
            ]
        )
        error = confidence * (bought - customers @ factors.T) ** 2
        return float(error.sum() + 0.1 * ((customers**2).sum() + (factors**2).sum()))

    fitted = ours.factors.astype(np.float64)
    random = np.random.default_rng(1)
    assert all(loss(fitted) < loss(fitted + random.normal(0, 0.05, fitted.shape)) for _ in range(20))


def test_als_does_not_depend_on_customers_without_history() -> None:
    counts = planted()
    more = np.concatenate([counts, np.zeros((7, counts.shape[1]), np.float32)])
    one, two = make_generator("als"), make_generator("als")
    one.fit(history_of(counts), SETTINGS)
    two.fit(history_of(more), SETTINGS)
    assert two.factors == pytest.approx(one.factors, abs=1e-5)


def test_an_unknown_generator_is_named() -> None:
    with pytest.raises(SettingsError, match=r"'magic'.*popularity, .*repurchase"):
        make_generator("magic")
