"""Generators learn from views as well, but name as bought only what somebody bought."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys.candidates import Generator, item_to_item, make_generator
from recsys.candidates.base import FITS
from recsys.candidates.item_to_item import pairs_in
from recsys.history import History
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import baskets_of, history_of

BREAD, WINE, CHEESE = range(3)
# The first two bought bread and cheese and looked at wine, the third bought wine, the fourth bread.
BOUGHT = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 0], [1, 0, 0]])
LOOKED = BOUGHT + 0.1 * np.array([[0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
FOURTH = np.full(2, 3, np.int32)
OTHERS = np.array([WINE, CHEESE])


def served(name: str, history: History, **chosen: object) -> Generator:
    """Return a generator as it is when lists are made: fitted, kept and taken back."""
    told = load_settings(candidates=CandidateSettings.model_validate(chosen))
    fitted, restored = make_generator(name), make_generator(name)
    fitted.fit(history, told)
    fitted.learn_claims(history)
    restored.restore(fitted.state(), told)
    return restored


def test_what_was_only_looked_at_together_was_not_bought_together() -> None:
    history = history_of(BOUGHT, interest=LOOKED)
    generator = served("item_cf", history)
    assert generator.scores(history, FOURTH[:1]).toarray()[0, WINE] > 0, "wine is recommended nevertheless"
    assert generator.because(history, FOURTH, OTHERS).tolist() == [-1, BREAD]
    everything_bought = history_of((LOOKED > 0).astype(float))
    assert served("item_cf", everything_bought).because(history, FOURTH, OTHERS).tolist() == [BREAD, BREAD]


def test_the_like_who_only_looked_did_not_buy() -> None:
    # Without the third, who bought wine, the fourth's neighbours have all only looked at it.
    history = history_of(BOUGHT, interest=LOOKED)
    generator = served("user_cf", history)
    assert generator.scores(history, FOURTH[:1]).toarray()[0, WINE] > 0
    assert generator.sentences(history, FOURTH, OTHERS) == [FITS, generator.sentence]
    assert served("user_cf", history_of(BOUGHT)).sentences(history, FOURTH, OTHERS) == [generator.sentence] * 2


def test_a_look_after_a_purchase_is_no_purchase_after_it() -> None:
    lines = baskets_of([0, 0, 0, 1, 1], [BREAD, WINE, CHEESE, CHEESE, BREAD], [0, 1, 2, 0, 1], ages=[3, 2, 1, 2, 1])
    lines = replace(lines, is_purchase=np.array([True, False, True, True, True]))
    bought, looked = np.array([[1, 0, 1], [1, 0, 1]]), np.array([[1, 0.1, 1], [1, 0, 1]])
    history = history_of(bought, interest=looked, lines=lines)
    generator = served("transitions", history)
    weights = generator.state()["weights"].toarray()
    assert weights[BREAD, WINE] > 0
    own = np.zeros(3, np.int32)
    assert generator.because(history, own, np.array([WINE, CHEESE, BREAD])).tolist() == [-1, BREAD, CHEESE]


@pytest.mark.parametrize("name", ["item_cf", "ease", "user_cf"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), looks=st.booleans())
def test_whatever_is_told_somebody_did(name: str, seed: int, looks: bool) -> None:
    random = np.random.default_rng(seed)
    bought = (random.random((12, 8)) < 0.25).astype(float)
    history = history_of(bought, interest=bought + 0.2 * looks * (random.random((12, 8)) < 0.3))
    generator = served(name, history)
    users, columns = (axis.ravel() for axis in np.indices((12, 8)))
    named = generator.because(history, users.astype(np.int32), columns)
    sentences = generator.sentences(history, users.astype(np.int32), columns)
    scores = generator.scores(history, np.arange(12, dtype=np.int32)).toarray()
    for user, column, own, sentence in zip(users, columns, named, sentences, strict=True):
        if own >= 0:
            assert bought[user, own]
            assert (bought[:, own] * bought[:, column]).any()
        if name == "user_cf" and sentence != FITS and scores[user, column] > 0:
            assert np.delete(bought, user, axis=0)[:, column].any()


@pytest.mark.parametrize("marks", [item_to_item._MARKS, 14], ids=["all at once", "two products at once"])
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_pairs_by_brute_force(marks: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    left, right, weights = (
        sparse.csr_array((random.random(shape) < 0.3).astype(np.float32)) for shape in ((9, 7), (9, 7), (7, 7))
    )
    both = (left.toarray().T @ right.toarray()) > 0
    found = weights.tocoo()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_to_item, "_MARKS", marks)
        assert pairs_in(left, right, weights).tolist() == both[found.row, found.col].tolist()
        assert pairs_in(left, right, sparse.csr_array((7, 7))).tolist() == []
