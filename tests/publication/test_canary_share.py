"""Which customers are in a canary's share: the same in Python and in both engines, and only ever more of them."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from recsys.pseudonyms import Pseudonyms
from recsys.publication import NewPublication, promote_canary, running_canary, start_canary
from recsys.publication.canary_records import hash_of, highest_hash
from recsys.settings import PrivacySettings, Settings
from recsys.warehouse import Warehouse
from tests.publication.test_canary import CUSTOMERS, WHO, at, expected, put_live, served, start
from tests.support.publications import PLACEMENT, live_rows, made_lists, write_publication


@pytest.fixture
def live(warehouse: Warehouse, settings: Settings) -> Warehouse:
    """Version 1 is live with the publication p1."""
    put_live(warehouse, settings, "p1", 0)
    return warehouse


@given(salt=st.text(max_size=20), user=st.text(max_size=20), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_larger_share_only_adds(salt: str, user: str, shares: tuple[float, float]) -> None:
    small, large = sorted(shares)
    found = hash_of(salt, user)
    assert not (found <= highest_hash(small) and found > highest_hash(large))
    assert found <= highest_hash(1.0)
    assert not found <= highest_hash(0.0)


def test_a_share_is_that_part_of_the_customers() -> None:
    # Of 20,000 the standard deviation is below 0.35 %.
    for share in (0.01, 0.1, 0.5, 0.9):
        inside = sum(hash_of("s", f"customer {n}") <= highest_hash(share) for n in range(20_000))
        assert inside / 20_000 == pytest.approx(share, abs=0.015)


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(salt=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), share=st.floats(0, 1))
def test_both_engines_agree_with_python(live: Warehouse, settings: Settings, salt: str, share: float) -> None:
    canary = running_canary(live, PLACEMENT) or start(live, settings, 0.5)
    chosen = replace(canary, salt=salt, share=share, highest_hash=highest_hash(share))
    with live.transaction() as connection:
        connection.execute(
            text("update recsys.canaries set salt = :salt, share = :share, highest_hash = :highest"),
            {"salt": salt, "share": share, "highest": chosen.highest_hash},
        )
    seen = {row["user_id"]: row["publication_id"] for row in live_rows(live)}
    assert seen == expected(chosen, "p1")


def test_lists_by_pseudonyms_are_tried_out_on_the_same_customers(live: Warehouse, settings: Settings) -> None:
    """A shop whose snapshots hold no id shows the canary to whom it would show it otherwise, under their ids."""
    disguised = settings.model_copy(update={"privacy": PrivacySettings(pseudonymise=True)})
    name = Pseudonyms.of(disguised).name
    rows = [
        {**row, "subject_id": name(row["subject_id"])} if row["bucket"] >= 0 else row
        for row in made_lists(shift=8, label="c1")
    ]
    files = write_publication(settings.resolved_home / "files", "c1", rows, version="2")
    assert files_hold(files, CUSTOMERS) == 0
    canary = start_canary(live, disguised, files, share=0.3, **WHO, now=at(1))
    seen = served(live, disguised)
    assert seen == expected(canary, "p1")
    assert set(seen.values()) == {"p1", "c1"}
    promote_canary(live, disguised, PLACEMENT, **WHO, now=at(2))
    assert set(served(live, disguised).values()) == {"c1"}


def files_hold(files: NewPublication, customers: list[str]) -> int:
    """Return how many rows of the lists stand under a customer's id."""
    return sum(pq.read_table(path)["subject_id"].to_pylist().count(user) for path in files.lists for user in customers)
