"""Content: texts as vectors, neighbours by blocks, a place for new products, and texts that say nothing."""

import json
from importlib.util import find_spec
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.candidates import content, make_generator, propose
from recsys.candidates.content import LANGUAGE, LEAST, POWER, WINDOWS, embed, expected_buyers, nearest, tf_idf
from recsys.errors import SettingsError
from recsys.history import Catalogue
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import catalogue_of, history_of

SETTINGS = load_settings(threads=1)
COFFEE, TEA, LAMP = "Ground coffee, dark roast", "Green tea, loose leaves", "Table lamp, brass"
DRINKS, LIGHT = "Food > Drinks > Hot", "Home > Light > Lamps"


def vectors(catalogue: Catalogue, **chosen: object) -> np.ndarray:
    return embed(catalogue, CandidateSettings(**chosen), SETTINGS.seed)


def lists(counts: list[list[float]], catalogue: Catalogue, k: int = 5, **chosen: object) -> list[list[int]]:
    """Return the columns of new products proposed to each customer."""
    history = history_of(np.array(counts, float), catalogue=catalogue)
    generator = make_generator("content")
    generator.fit(history, SETTINGS.model_copy(update={"candidates": CandidateSettings(**chosen)}))
    found: list[list[int]] = [[] for _ in counts]
    for block in propose(generator, history, np.arange(len(counts), dtype=np.int32), k, repeats=False):
        for user, item in zip(block.user_idx.tolist(), block.item_idx.tolist(), strict=True):
            found[user].append(item // 10)
    return found


def test_tf_idf_by_hand() -> None:
    # "tea" stands in all three, "green" in two of them (twice in the first), "loose" in one: it connects nothing.
    found = tf_idf([["green", "tea", "green"], ["tea", "green"], ["tea", "loose"]])
    assert found is not None
    green, tea = 1 + log(4 / 3), 1 + log(4 / 4)
    often = (1 + log(2)) * green
    first, second = sqrt(often**2 + tea**2), sqrt(green**2 + tea**2)
    expected = [[often / first, tea / first], [green / second, tea / second], [0, 1]]
    assert found.toarray() == pytest.approx(np.array(expected))
    assert tf_idf([["a"], ["b"], []]) is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", []),
        ("{}", []),
        ("not json", []),
        ("null", []),
        ("[1, 2]", []),
        ('"text"', []),
        ('{"size": "XL", "pieces": 6, "organic": true}', ["size=xl", "pieces=6", "organic=true"]),
        ('{"size": null, "parts": [1], "box": {"h": 1}, "": ""}', ["="]),
        ('{"ratio": NaN}', ["ratio=nan"]),
    ],
)
def test_attributes_are_taken_as_they_come(attributes: str, expected: list[str]) -> None:
    assert content._pairs(attributes) == expected


def test_a_product_that_was_never_bought_has_its_place_among_its_like() -> None:
    # Products 3 and 4 are new. Nobody bought them, so no generator that counts customers can know them.
    catalogue = catalogue_of(
        titles=[COFFEE, TEA, LAMP, "Ground coffee, light roast", "Floor lamp, brass"],
        categories=[DRINKS, DRINKS, LIGHT, DRINKS, LIGHT],
        known_days=np.array([365.0, 365, 365, 1, 1]),
    )
    found = lists([[3, 0, 0, 0, 0], [0, 0, 2, 0, 0]], catalogue)
    assert found[0][0] == 3
    assert found[1] == [4]
    item_cf = make_generator("item_cf")
    history = history_of(np.array([[3.0, 0, 0, 0, 0], [0, 0, 2, 0, 0]]), catalogue=catalogue)
    item_cf.fit(history, SETTINGS)
    assert not item_cf.scores(history, np.arange(2, dtype=np.int32)).toarray()[:, 3:].any()


def test_the_sentence_names_what_the_customer_bought() -> None:
    catalogue = catalogue_of(titles=[COFFEE, LAMP, "Ground coffee, light roast"])
    history = history_of(np.array([[1.0, 1, 0]]), catalogue=catalogue)
    generator = make_generator("content")
    generator.fit(history, SETTINGS)
    assert generator.because(history, np.array([0], np.int32), np.array([2])).tolist() == [0]
    assert generator.sentence == "Similar to {because}, which you bought."


def test_products_alike_that_sell_come_first() -> None:
    catalogue = catalogue_of(titles=["red wine"] * 4, categories=["a", "b", "c", "d"])
    history = history_of(np.array([[1.0, 0, 0, 0]]), popularity=np.array([1.0, 2, 30, 4]), catalogue=catalogue)
    generator = make_generator("content")
    generator.fit(history, SETTINGS)
    scores = generator.scores(history, np.zeros(1, np.int32)).toarray()[0]
    assert scores == pytest.approx([0, *(log(2) * (1 + buyers) ** POWER for buyers in (2, 30, 4))], rel=1e-5)


def test_the_buyers_that_a_product_can_expect_by_hand() -> None:
    # Category a: two known for the whole 28 days with 10 and 6 buyers, one known for a week with none.
    # Its mean is 16 / (1 + 1 + .25). Category b has just one product, of today: nothing can be said of it.
    catalogue = catalogue_of(categories=["a", "a", "a", "b"], known_days=np.array([400.0, 28, 7, 0]))
    found = expected_buyers(np.array([10.0, 6, 0, 0]), catalogue, 28)
    mean = 16 / 2.25
    expected = [(10 + WINDOWS * mean) / (1 + WINDOWS), (6 + WINDOWS * mean) / (1 + WINDOWS)]
    assert found == pytest.approx([*expected, WINDOWS * mean / (0.25 + WINDOWS), 0])


matrices = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 25), st.just(3)), elements=st.sampled_from([0.0, 0.0, 1.0, 0.5, -1.0])
)


@settings(deadline=None, max_examples=40)
@given(matrices, st.integers(1, 6), st.sampled_from([1, 4, 256]))
def test_neighbours_are_those_of_the_whole_square(dense: np.ndarray, k: int, block: int) -> None:
    length = np.linalg.norm(dense, axis=1, keepdims=True)
    unit = np.divide(dense, length, out=np.zeros_like(dense), where=length > 0).astype(np.float32)
    worth = 1 + np.arange(len(dense)) % 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "BLOCK", block)
        found = nearest(unit, worth.astype(float), k).toarray()
    cosine = np.round(unit @ unit.T, 5)
    strength = np.where(cosine >= LEAST, cosine * worth, 0)
    np.fill_diagonal(strength, 0)
    for row, own in enumerate(strength):
        kept = [column for column in np.lexsort((np.arange(len(own)), -own))[:k] if own[column] > 0]
        assert np.flatnonzero(found[row]).tolist() == sorted(kept)
        assert found[row][kept] == pytest.approx(own[kept], abs=1e-5)


def test_all_titles_equal_is_a_tie_of_all() -> None:
    catalogue = catalogue_of(titles=["Thing"] * 6)
    assert lists([[1, 0, 0, 0, 0, 0]], catalogue, content_neighbours=3) == [[1, 2, 3]]


@pytest.mark.parametrize(
    "catalogue",
    [
        catalogue_of(titles=[""] * 3),
        catalogue_of(titles=["a", "b", "c"]),
        catalogue_of(titles=["a", "b", "c"], categories=["x", "y", "z"], attributes=["{}", "", "oops"]),
    ],
)
def test_texts_that_share_nothing_propose_nothing(catalogue: Catalogue) -> None:
    assert lists([[1, 0, 0]], catalogue) == [[]]


def test_one_product_and_none() -> None:
    assert lists([[1]], catalogue_of(titles=["alone"])) == [[]]
    empty = history_of(np.zeros((2, 0)), catalogue=catalogue_of(titles=[]))
    generator = make_generator("content")
    generator.fit(empty, SETTINGS)
    assert generator.scores(empty, np.arange(2, dtype=np.int32)).shape == (2, 0)


def test_a_product_without_attributes_is_compared_by_the_rest() -> None:
    catalogue = catalogue_of(
        titles=["Oat milk", "Oat drink", "Oat flakes"], attributes=['{"vegan": true}', "", '{"vegan": true}']
    )
    assert set(lists([[1, 0, 0]], catalogue)[0]) == {1, 2}


def test_the_reduction_keeps_what_is_alike_together_and_is_repeatable() -> None:
    random = np.random.default_rng(1)
    words = [[f"{kind}{random.integers(30)}" for _ in range(6)] for kind in ("rye", "tea") for _ in range(60)]
    catalogue = catalogue_of(titles=[" ".join(title) for title in words], brands=["one", "two"] * 60)
    found = vectors(catalogue, content_factors=8)
    assert found.shape == (120, 8)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    cosine = found @ found.T
    assert cosine[:60, :60].mean() > cosine[:60, 60:].mean() + 0.2
    assert (vectors(catalogue, content_factors=8) == found).all()


@pytest.mark.skipif(find_spec(LANGUAGE) is not None, reason="the extra is installed here")
def test_without_the_extra_the_language_model_is_asked_for_by_its_name() -> None:
    with pytest.raises(SettingsError, match=r"content_embeddings = 'language'.*recsys\[language\].*'svd'"):
        lists([[1, 0]], catalogue_of(titles=["a", "b"]), content_embeddings="language")


def test_the_language_model_gets_titles_with_categories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with the real one's interface, which counts letters, takes its place."""
    code = (
        "import json, pathlib\nimport numpy as np\n"
        "class Model:\n"
        "    def encode(self, texts, batch_size, show_progress_bar):\n"
        "        pathlib.Path(__file__).with_suffix('.json').write_text(json.dumps(texts))\n"
        "        return np.array([[text.count(c) for c in 'aeiou'] for text in texts], np.float32)\n"
        "def load_model(device=None):\n    assert device == 'cpu'\n    return Model()\n"
    )
    (tmp_path / f"{LANGUAGE}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, LANGUAGE, raising=False)
    catalogue = catalogue_of(titles=["aaa", "aab", "ooo"], categories=["u", "", "e"])
    found = vectors(catalogue, content_embeddings="language")
    assert json.loads((tmp_path / f"{LANGUAGE}.json").read_text()) == ["aaa. u", "aab. ", "ooo. e"]
    assert found[0] == pytest.approx(np.array([3, 0, 0, 0, 1]) / sqrt(10))
