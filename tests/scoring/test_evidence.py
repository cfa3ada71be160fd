"""What a row's evidence lets its reason say."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recsys.candidates import make_generator
from recsys.candidates.base import FITS, FITS_LOOKS
from recsys.fusion import Candidates
from recsys.knowledge import Rule, Side
from recsys.scoring.evidence import add_evidence, without
from recsys.settings import CandidateSettings, load_settings
from recsys.shaping import Shaped
from tests.support.matrices import history_of, rules_of

# The second customer looked at both products and bought none.
BOUGHT = np.array([[2, 0, 1], [0, 0, 0], [1, 1, 0]])
LOOKED = BOUGHT + 0.1 * np.array([[0, 0, 0], [1, 1, 0], [0, 0, 0]])


def sentences(
    name: str, *, sensitive: int | None = None, rules: Sequence[Rule] | None = None
) -> list[tuple[str, int | None]]:
    """Return what is told of product 2 to the first and the second customer, and which product is named (item_idx)."""
    history = history_of(BOUGHT, interest=LOOKED)
    if rules is not None:
        history = replace(history, rules=rules_of(BOUGHT.shape, *rules))
    settings = load_settings(candidates=CandidateSettings(generators=(name,), als_factors=2))
    generator = make_generator(name)
    generator.fit(history, settings)
    users, products = np.arange(2, dtype=np.int32), np.array([10, 20], np.int32)
    rows = Candidates(users, products, np.ones((2, 1), np.float32), np.ones((2, 1), np.int16), np.ones(2), users + 1)
    shaped = Shaped(np.arange(2), np.ones(2, np.int32), np.full(2, np.nan))
    hidden = np.arange(3) == (-1 if sensitive is None else sensitive)
    found = add_evidence(rows, np.ones(2), shaped, hidden, history, without(history, hidden), [generator], settings)
    return list(zip(found["sentence"].to_pylist(), found["because_idx"].to_pylist(), strict=True))


def test_who_only_looked_is_not_told_of_purchases() -> None:
    assert sentences("als") == [(FITS, None), (FITS_LOOKS, None)]


def test_what_cannot_be_named_is_not_spoken_of() -> None:
    named, unnamed = sentences("item_cf")
    assert named[1] == 0
    assert named[0].endswith("bought {because}.")
    assert unnamed == (FITS_LOOKS, None)


def test_a_sensitive_product_is_named_to_nobody() -> None:
    assert [because for _, because in sentences("item_cf", sensitive=0)] == [None, None]
    assert sentences("item_cf", sensitive=0)[0][0] == FITS


def test_a_rule_is_told_by_the_product_that_may_be_named() -> None:
    def item(column: int) -> Side:
        return Side(item_idx=10 * column)

    # The first bought product 0 twice and product 2 once, so the first rule says more.
    rules = [Rule("a", "goes_with", item(0), item(1)), Rule("b", "replaces", item(1), item(2))]
    told = {hidden: sentences("knowledge", sensitive=hidden, rules=rules)[0] for hidden in (None, 0)}
    assert told[None] == ("Goes with {because}, which you bought.", 0)
    assert told[0] == ("Takes the place of {because}, which you bought.", 20), "not the sentence of the first rule"
    assert sentences("knowledge", sensitive=0, rules=rules[:1])[0] == (FITS, None)
    assert sentences("knowledge", rules=rules)[1] == (FITS_LOOKS, None)
