"""What models are measured by, read from a shop whose every row is known."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from recsys import pipeline
from recsys.artifacts import local_path
from recsys.cuts import cut_name
from recsys.evaluation.reading import HoldOut, read_holdout
from recsys.pseudonyms import Pseudonyms
from recsys.settings import EvaluationSettings, Settings
from recsys.snapshot import Snapshot
from tests.support.planted import Event, Person, Version, quick_settings, write_shop

AS_OF = datetime(2024, 6, 1)
CUT = AS_OF - timedelta(days=28)
OLD, RECENT = CUT - timedelta(days=60), CUT - timedelta(days=10)
ITEMS = [
    Version("bread", category="Food > Bakery", brand="Own"),
    Version("cake", category="Food > Bakery", brand="Own"),
    Version("milk", category="Food > Dairy", brand="Hill"),
    Version("soap", category="Home > Bath", brand="Hill"),
    Version("thing", category=None, brand=None),  # type: ignore[arg-type]
    Version("new tea", since=CUT - timedelta(days=5), category="Food > Drinks", brand="Hill"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = quick_settings(tmp_path_factory.mktemp("reading"), evaluation=EvaluationSettings(smallest_slice=2))
    bought = [
        *(("anna", item, OLD - timedelta(days=day)) for day in range(1, 4) for item in ("bread", "milk", "soap")),
        *(("bert", "bread", OLD - timedelta(days=day)) for day in range(1, 5)),
        *(("carl", item, OLD + timedelta(days=1)) for item in ("bread", "milk", "thing")),
        *(("dora", item, RECENT) for item in ("bread", "milk", "cake")),
        ("first", "bread", AS_OF - timedelta(days=200)),
        ("anna", "new tea", CUT - timedelta(days=2)),
        ("bert", "new tea", CUT - timedelta(days=1)),
        ("carl", "new tea", CUT - timedelta(days=1)),
        # In the window: what counts.
        ("anna", "bread", CUT + timedelta(days=1)),
        ("bert", "milk", CUT + timedelta(days=2)),
        ("bert", "cake", CUT + timedelta(days=2)),
        ("dora", "new tea", CUT + timedelta(days=3)),
    ]
    people = [Person(name, attributes={"segment": "odd" if name == "first" else "even"}) for name in NAMES]
    write_shop(settings, users=people, items=ITEMS, events=[Event(user, item, at) for user, item, at in bought])
    return settings


NAMES = ["anna", "bert", "carl", "dora", "first"]


@pytest.fixture(scope="module")
def snapshot(settings: Settings) -> Snapshot:
    taken = pipeline.take_snapshot(settings, as_of=AS_OF.isoformat(), now=AS_OF + timedelta(days=1))
    return Snapshot.open(taken["snapshot"])


@pytest.fixture(scope="module")
def holdout(settings: Settings, snapshot: Snapshot) -> HoldOut:
    features = pipeline.build_features(settings, snapshot=snapshot.uri)["features"]
    found = read_holdout(settings, snapshot, CUT, local_path(features) / cut_name(CUT))
    # It names customers by pseudonyms; whose they are is known here.
    names = {Pseudonyms.of(settings).name(name): name for name in NAMES}
    return replace(found, customers=np.asarray([names[one] for one in found.customers], dtype=object))


def items_of(snapshot: Snapshot) -> dict[str, int]:
    """Numbers by id: items are ordered by it."""
    return {name: number for number, name in enumerate(sorted(version.item for version in ITEMS))}


def test_products_are_known_as_they_were_before_the_cut(holdout: HoldOut, snapshot: Snapshot) -> None:
    number = items_of(snapshot)
    buyers = {name: int(holdout.products.buyers[at]) for name, at in number.items()}
    assert buyers == {"bread": 5, "cake": 1, "milk": 3, "new tea": 3, "soap": 1, "thing": 1}
    assert holdout.products.customers == 5
    # Bought three times or more, and known by then.
    eligible = [name for name, at in number.items() if at in holdout.products.catalogue]
    assert eligible == ["bread", "milk", "new tea", "soap"]
    category, department, brand = holdout.products.category, holdout.products.department, holdout.products.brand
    assert category is not None and department is not None and brand is not None
    assert category[number["bread"]] == category[number["cake"]] != category[number["milk"]]
    assert department[number["bread"]] == department[number["milk"]] != department[number["soap"]]
    assert brand[number["milk"]] == brand[number["soap"]] != brand[number["bread"]]
    assert {int(of[number["thing"]]) for of in (category, department, brand)} == {-1}


def test_tastes_are_purchase_lines_by_department(holdout: HoldOut, snapshot: Snapshot) -> None:
    department = holdout.products.department
    assert department is not None
    food, home = (int(department[items_of(snapshot)[name]]) for name in ("bread", "soap"))
    lines = {str(name): holdout.tastes.toarray()[at] for at, name in enumerate(holdout.customers)}
    assert {name: (row[food], row[home]) for name, row in lines.items()} == {
        "anna": (7, 3),
        "bert": (5, 0),
        "carl": (3, 0),  # the thing is of no department
        "dora": (3, 0),
        "first": (1, 0),
    }


def test_slices_have_the_right_members(holdout: HoldOut, snapshot: Snapshot) -> None:
    customers = {
        one.name: sorted(str(holdout.customers[at]) for at in one.members)
        for one in holdout.slices
        if one.kind == "customers"
    }
    # Lines of those who are not new: first 1, carl 4, bert 5, anna 10: thirds at 4 and 5.
    assert customers == {
        "new customers": ["dora"],
        "light customers": ["carl", "first"],
        "medium customers": ["bert"],
        "heavy customers": ["anna"],
        "segment: even": ["anna", "bert", "carl", "dora"],
    }
    names = {at: name for name, at in items_of(snapshot).items()}
    products = {one.name: [names[at] for at in one.members] for one in holdout.slices if one.kind == "products"}
    # Lines: bread 10, milk 5, soap 3; tea was first seen five days before.
    assert products == {
        "new products": ["new tea"],
        "head products": ["bread"],
        "tail products": ["milk", "soap"],
    }


def test_the_truth_is_what_was_bought_in_the_window(holdout: HoldOut, snapshot: Snapshot) -> None:
    number = items_of(snapshot)

    def pairs(truth: object) -> set[tuple[str, int]]:
        return {
            (str(holdout.customers[user]), int(item))
            for user, item in zip(truth.pair_users, truth.pair_items, strict=True)  # type: ignore[attr-defined]
        }

    always = {("bert", number["milk"]), ("dora", number["new tea"])}
    assert pairs(holdout.ground(repeats=True).truth) == always | {("anna", number["bread"])}
    assert pairs(holdout.ground(repeats=False).truth) == always
    assert pairs(holdout.wider_truth(repeats=False)) == always | {("bert", number["cake"])}
    assert holdout.ground(repeats=False).tastes.shape[0] == 2
