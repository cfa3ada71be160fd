"""What the shop's rules propose, and what is told of it: scores worked out by hand."""

from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest

from recsys.candidates import Generator, make_generator, propose
from recsys.candidates.base import FITS, load_state, save_state
from recsys.candidates.knowledge import CHOSEN, IN_SEASON
from recsys.errors import ContractError
from recsys.history import History
from recsys.knowledge import Period, Rule, Side
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import history_of, rules_of

PRINTER, TONER, NEWER, INK, PAPER = range(5)
BRANDS = ("Acme", "Acme", "Acme", "Other", "Other")
CATEGORIES = ("Office > Printers", "Office > Supplies > Toner", "Office > Printers", "Office > Supplies > Ink", "Paper")
# The first bought the printer (three times, say) and paper, the second ink, the third nothing.
COUNTS = np.array([[3.0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
POPULARITY = np.array([4.0, 9.0, 4.0, 1.0, 0.0])
USERS = np.arange(3, dtype=np.int32)
GOES = "Goes with {because}, which you bought."
TAKES = "Takes the place of {because}, which you bought."


def item(column: int) -> Side:
    return Side(item_idx=10 * column)


def history(*rules: Rule, **more: Any) -> History:
    outside = more.pop("outside", None)
    extra = 0 if outside is None else outside.shape[1]
    written = rules_of(
        COUNTS.shape,
        *rules,
        brands=[*BRANDS, *["Old"] * extra],
        categories=[*CATEGORIES, *["Office > Printers"] * extra],
        outside=outside,
    )
    return history_of(COUNTS, popularity=POPULARITY, rules=written, **more)


def fitted(given: History, **chosen: Any) -> Generator:
    generator = make_generator("knowledge")
    generator.fit(given, load_settings(candidates=CandidateSettings(**chosen)))
    return generator


def scores(given: History, **chosen: Any) -> list[list[float]]:
    return np.asarray(fitted(given, **chosen).scores(given, USERS).toarray()).tolist()


def told(given: History, column: int, user: int = 0) -> tuple[int, str]:
    generator = fitted(given)
    users, columns = np.array([user], np.int32), np.array([column])
    [because], [sentence] = generator.because(given, users, columns), generator.sentences(given, users, columns)
    return int(because), sentence


def test_what_goes_with_a_purchase_has_the_rules_weight_times_the_taste() -> None:
    given = history(Rule("a", "goes_with", item(PRINTER), item(TONER), weight=2))
    assert scores(given) == [pytest.approx([0, 2 * log(4), 0, 0, 0]), [0] * 5, [0] * 5]
    assert told(given, TONER) == (PRINTER, GOES)


def test_what_replaces_a_purchase_is_proposed_to_its_buyers_only() -> None:
    given = history(Rule("a", "replaces", item(NEWER), item(PRINTER)))
    assert scores(given) == [pytest.approx([0, 0, log(4), 0, 0]), [0] * 5, [0] * 5]
    assert told(given, NEWER) == (PRINTER, TAKES)


def test_purchases_fade_as_they_do_for_others() -> None:
    faded = COUNTS / 2
    given = history(Rule("a", "goes_with", item(PRINTER), item(TONER)), weights=faded)
    assert scores(given)[0] == pytest.approx([0, log(2.5), 0, 0, 0])


def test_a_look_is_no_purchase() -> None:
    given = history(Rule("a", "goes_with", item(INK), item(TONER)), interest=COUNTS + 1.0, seen=np.ones((3, 5)))
    assert scores(given)[0] == [0] * 5


def test_sides_with_many_products_share_the_weight_by_their_buyers() -> None:
    # The category Office > Supplies is toner with 9 buyers and ink with 1: weights 1 and (1 + 1) / (1 + 9).
    rule = Rule("a", "goes_with", Side(brand="Acme"), Side(category="Office > Supplies"))
    assert scores(history(rule))[0] == pytest.approx([0, log(4), 0, 0.2 * log(4), 0])


def test_a_product_says_nothing_of_itself() -> None:
    # The whole office goes with the whole office. Of 9 buyers at most: printers (1 + 4) / 10, ink 2 / 10.
    rule = Rule("a", "goes_with", Side(category="Office"), Side(category="Office"))
    first, second, third = scores(history(rule))
    assert first == pytest.approx([0, log(4), 0.5 * log(4), 0.2 * log(4), 0])
    assert second == pytest.approx([0.5 * log(2), log(2), 0.5 * log(2), 0, 0])
    assert third == [0] * 5
    assert told(history(rule), PRINTER) == (-1, FITS)


def test_only_the_most_bought_of_a_side_are_proposed() -> None:
    rule = Rule("a", "boost", Side(category="Office"))
    assert scores(history(rule), knowledge_items=2)[2] == pytest.approx([0.5, 1, 0, 0, 0]), "of equals the lower column"
    assert scores(history(rule), knowledge_items=3)[2] == pytest.approx([0.5, 1, 0.5, 0, 0])


def test_a_boost_is_for_everyone_and_adds_to_what_others_say() -> None:
    given = history(
        Rule("a", "goes_with", item(PRINTER), item(TONER)),
        Rule("b", "boost", Side(brand="Acme"), weight=3),
    )
    assert scores(given) == [
        pytest.approx([1.5, 3 + log(4), 1.5, 0, 0]),
        pytest.approx([1.5, 3, 1.5, 0, 0]),
        pytest.approx([1.5, 3, 1.5, 0, 0]),
    ]
    assert told(given, TONER) == (PRINTER, GOES), "what the customer did is told first"
    assert told(given, TONER, user=1) == (-1, CHOSEN)


def test_in_season_is_said_of_a_season_only() -> None:
    winter = Period(season_from="11-15", season_to="01-15")
    assert told(history(Rule("a", "boost", item(INK), period=winter)), INK) == (-1, IN_SEASON)
    assert told(history(Rule("a", "boost", item(INK))), INK) == (-1, CHOSEN)
    both = history(Rule("a", "boost", item(PAPER), period=winter), Rule("b", "boost", item(INK)))
    assert [told(both, column)[1] for column in (PAPER, INK, TONER)] == [IN_SEASON, CHOSEN, FITS]
    seasonal_pair = history(Rule("a", "goes_with", item(PRINTER), item(INK), period=winter))
    assert told(seasonal_pair, INK, user=1) == (-1, FITS)


def test_the_rule_and_the_purchase_that_say_most_are_told() -> None:
    given = history(
        Rule("a", "goes_with", item(PRINTER), item(TONER)),
        Rule("b", "replaces", item(TONER), item(PAPER), weight=1.9),
    )
    assert told(given, TONER) == (PRINTER, GOES), "log 4 against 1.9 log 2"
    stronger = history(
        Rule("a", "goes_with", item(PRINTER), item(TONER)),
        Rule("b", "replaces", item(TONER), item(PAPER), weight=2.1),
    )
    assert told(stronger, TONER) == (PAPER, TAKES)
    equal = history(Rule("a", "goes_with", item(PAPER), item(TONER)), Rule("b", "replaces", item(TONER), item(PAPER)))
    assert told(equal, TONER) == (PAPER, GOES), "of equals the first rule"


def test_what_was_not_bought_is_not_told() -> None:
    # As evidence hides sensitive products: they count as never bought.
    given = history(
        Rule("a", "goes_with", item(PRINTER), item(TONER)), Rule("b", "goes_with", item(PAPER), item(TONER))
    )
    hidden = replace(given, purchases=given.purchases.multiply([[0, 1, 1, 1, 1]]).tocsr())
    assert told(hidden, TONER) == (PAPER, GOES)


def test_a_product_that_is_sold_no_more_still_speaks_and_is_not_named() -> None:
    outside = np.array([[0.0], [1.0], [0.0]])
    old = Side(item_idx=50)
    given = history(Rule("a", "replaces", item(NEWER), old), Rule("b", "goes_with", old, item(INK)), outside=outside)
    assert scores(given)[1] == pytest.approx([0, 0, log(2), log(2), 0])
    assert told(given, NEWER, user=1) == (-1, "Takes the place of something that you bought.")
    assert told(given, INK, user=1) == (-1, "Goes with something that you bought.")


def test_other_customers_may_have_bought_other_products_that_are_sold_no_more(tmp_path) -> None:
    outside = np.array([[0.0, 4], [1, 0], [0, 2]])
    given = history(Rule("a", "replaces", item(NEWER), Side(item_idx=60)), outside=outside)
    save_state(fitted(given).state(), tmp_path / "state.npz")
    restored = make_generator("knowledge")
    restored.restore(load_state(tmp_path / "state.npz"), load_settings())
    assert given.rules is not None
    written = replace(given.rules, outside=given.rules.outside[1:], bought=given.rules.bought[:, [1]])
    shard = replace(given, rules=written)
    expected = scores(given)
    assert expected[0][NEWER] > 0
    assert np.asarray(restored.scores(shard, USERS).toarray()).tolist() == expected
    nobody = replace(given, rules=replace(written, outside=written.outside[:0], bought=written.bought[:, :0]))
    assert restored.scores(nobody, USERS).nnz == 0


def test_a_rule_of_one_placement_counts_there_and_not_while_models_learn() -> None:
    given = history(
        Rule("a", "goes_with", item(PRINTER), item(TONER), placement="discover"),
        Rule("b", "goes_with", item(PRINTER), item(INK)),
    )
    generator = fitted(given)
    shown = {
        placement: np.flatnonzero(generator.scores(replace(given, placement=placement), USERS).toarray()[0]).tolist()
        for placement in (None, "for_you", "discover")
    }
    assert shown == {None: [INK], "for_you": [INK], "discover": [TONER, INK]}


@pytest.mark.parametrize("rules", [(), (Rule("a", "never_together", item(PRINTER), item(INK)),)])
def test_without_a_word_nothing_is_proposed_and_nothing_fails(rules: tuple[Rule, ...]) -> None:
    given = history(*rules)
    generator = fitted(given)
    assert scores(given) == [[0] * 5] * 3
    [block] = propose(generator, given, USERS, 5, repeats=True)
    assert len(block.item_idx) == 0
    assert told(given, TONER) == (-1, FITS)


def test_a_history_without_rules_is_refused() -> None:
    with pytest.raises(ContractError, match="without the shop's rules"):
        fitted(replace(history(), rules=None))


def test_arguments_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    counts = (random.random((20, 12)) < 0.4) * random.integers(1, 4, (20, 12))
    pairs = [Rule(f"{n}", "goes_with", item(n), item((5 * n + 1) % 12), weight=1 + n % 3) for n in range(12)]
    pairs += [Rule(f"r{n}", "replaces", item((7 * n + 2) % 12), item(n)) for n in range(12)]
    given = history_of(counts, rules=rules_of(counts.shape, *pairs))
    generator = fitted(given)
    users, columns = (axis.ravel() for axis in np.indices(counts.shape))
    asked = (given, users.astype(np.int32), columns)
    because, sentences = generator.because(*asked).tolist(), generator.sentences(*asked)
    assert len(set(sentences)) == 3
    # By brute force: what was bought, times the weight of each pair.
    own = np.log1p(counts)
    for user, column, named in zip(users, columns, because, strict=True):
        said = np.zeros(12)
        for rule in pairs:
            source, target = (rule.left, rule.right) if rule.kind == "goes_with" else (rule.right, rule.left)
            if target.item_idx == 10 * column != source.item_idx:
                said[source.item_idx // 10] = max(
                    said[source.item_idx // 10], rule.weight * own[user, source.item_idx // 10]
                )
        assert (named == -1) == (said.max() == 0)
        assert named == -1 or said[named] == pytest.approx(said.max())
    monkeypatch.setattr("recsys.candidates.knowledge.BLOCK", 7)
    assert generator.because(*asked).tolist() == because
    assert generator.sentences(*asked) == sentences
