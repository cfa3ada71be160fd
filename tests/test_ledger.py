"""The ledger of decisions, and the aliases that follow from it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recsys import ledger
from recsys.errors import NotFoundError, SettingsError
from recsys.ledger import Decision
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.publications import MODEL, NOW, PLACEMENT, approve
from tests.support.warehouse import make_settings


@pytest.fixture
def warehouse(warehouse_url: str, tmp_path: Path) -> Iterator[Warehouse]:
    with open_warehouse(make_settings(tmp_path, warehouse_url=warehouse_url), purpose="test") as opened:
        yield opened


def decide(warehouse: Warehouse, verdict: str, version: str, minute: int = 0, **changes: object) -> str:
    return approve(warehouse, version, now=NOW + timedelta(minutes=minute), verdict=verdict, **changes)


def champion_of(warehouse: Warehouse, placement: str = PLACEMENT) -> str | None:
    found = ledger.champion(warehouse, placement)
    return found.model_version if found else None


def wanted(warehouse: Warehouse) -> dict[str, str | None]:
    return {alias.alias: alias.wanted_version for alias in ledger.list_aliases(warehouse, MODEL)}


def test_nothing_is_approved_at_first(warehouse: Warehouse) -> None:
    assert champion_of(warehouse) is None
    assert ledger.list_decisions(warehouse) == []
    assert ledger.list_aliases(warehouse) == []


def test_the_champion_is_the_latest_approval(warehouse: Warehouse) -> None:
    decide(warehouse, "approved", "1")
    decision_id = decide(warehouse, "approved", "2", 1)
    decide(warehouse, "rejected", "3", 2)
    assert ledger.champion(warehouse, PLACEMENT) == ledger.Champion(
        PLACEMENT, MODEL, "2", NOW + timedelta(minutes=1), decision_id
    )
    assert ledger.champion(warehouse, "discover") is None
    assert [(entry.decision_number, entry.verdict) for entry in ledger.list_decisions(warehouse)] == [
        (1, "approved"),
        (2, "approved"),
        (3, "rejected"),
    ]


def test_decisions_of_one_moment_keep_their_order(warehouse: Warehouse) -> None:
    for version in ("9", "10", "8"):
        decide(warehouse, "approved", version)
    assert champion_of(warehouse) == "8"


def test_an_undone_version_gives_way_to_the_champion_before(warehouse: Warehouse) -> None:
    decide(warehouse, "approved", "1")
    decide(warehouse, "approved", "2", 1)
    decide(warehouse, "rolled_back", "2", 2)
    assert champion_of(warehouse) == "1"
    assert wanted(warehouse) == {"champion": "1", "previous": None}
    decide(warehouse, "rolled_back", "1", 3)
    assert champion_of(warehouse) is None
    assert wanted(warehouse) == {"champion": None, "previous": None}


def test_a_repeated_decision_is_not_added_twice(warehouse: Warehouse) -> None:
    first = decide(warehouse, "approved", "1")
    assert decide(warehouse, "approved", "1", 5) == first
    rejected = decide(warehouse, "rejected", "2", 6)
    assert decide(warehouse, "rejected", "2", 7) == rejected
    assert len(ledger.list_decisions(warehouse)) == 2


def test_what_changes_something_or_has_another_author_is_added(warehouse: Warehouse) -> None:
    decide(warehouse, "approved", "1")
    decide(warehouse, "approved", "1", 1, decided_by="grace")
    decide(warehouse, "approved", "2", 2)
    decide(warehouse, "approved", "1", 3, decided_by="grace")
    assert len(ledger.list_decisions(warehouse)) == 4
    assert champion_of(warehouse) == "1"
    assert wanted(warehouse) == {"champion": "1", "previous": "2"}


def test_aliases_follow_the_decisions(warehouse: Warehouse) -> None:
    ledger.propose_challenger(warehouse, model_name=MODEL, model_version="1", now=NOW)
    assert wanted(warehouse) == {"challenger": "1"}
    decide(warehouse, "approved", "1")
    assert wanted(warehouse) == {"champion": "1", "challenger": None, "previous": None}
    ledger.propose_challenger(warehouse, model_name=MODEL, model_version="2", now=NOW)
    decide(warehouse, "rejected", "2", 1)
    assert wanted(warehouse) == {"champion": "1", "challenger": None, "previous": None}
    ledger.propose_challenger(warehouse, model_name=MODEL, model_version="3", now=NOW)
    decide(warehouse, "rejected", "2", 2, reason="Still not.")
    assert wanted(warehouse)["challenger"] == "3"
    decide(warehouse, "approved", "3", 3)
    assert wanted(warehouse) == {"champion": "3", "challenger": None, "previous": "1"}


def test_a_refusal_is_the_last_word_of_a_person(warehouse: Warehouse) -> None:
    def refused() -> str | None:
        found = ledger.refusal(ledger.list_decisions(warehouse, PLACEMENT), (MODEL, "1"))
        return found.verdict if found else None

    decide(warehouse, "rejected", "2")
    assert refused() is None
    decide(warehouse, "rejected", "1", 1)
    assert refused() == "rejected"
    decide(warehouse, "approved", "1", 2, decided_by="policy", channel="policy")
    assert refused() == "rejected"
    decide(warehouse, "approved", "1", 3)
    assert refused() is None
    decide(warehouse, "rolled_back", "1", 4)
    assert refused() == "rolled_back"


def test_only_its_own_challenger_is_withdrawn(warehouse: Warehouse) -> None:
    ledger.propose_challenger(warehouse, model_name=MODEL, model_version="2", now=NOW)
    ledger.withdraw_challenger(warehouse, model_name=MODEL, model_version="1", now=NOW)
    assert wanted(warehouse) == {"challenger": "2"}
    ledger.withdraw_challenger(warehouse, model_name=MODEL, model_version="2", now=NOW)
    assert wanted(warehouse) == {"challenger": None}


def waiting(warehouse: Warehouse, model: str | None = None) -> list[ledger.Alias]:
    """Return what is still to be written to MLflow."""
    return [alias for alias in ledger.list_aliases(warehouse, model) if not alias.is_written]


def test_what_was_written_is_told_from_what_is_wanted(warehouse: Warehouse) -> None:
    decide(warehouse, "approved", "1")
    assert [alias.alias for alias in waiting(warehouse)] == ["champion"]
    ledger.mark_written(warehouse, model_name=MODEL, alias="champion", version="1", now=NOW)
    assert waiting(warehouse) == []
    decide(warehouse, "approved", "2", 1)
    assert waiting(warehouse, MODEL) == [
        ledger.Alias(MODEL, "champion", "2", "1", NOW),
        ledger.Alias(MODEL, "previous", "1", None),
    ]
    assert waiting(warehouse, "another_model") == []


def test_an_alias_that_nobody_wanted_can_not_be_written(warehouse: Warehouse) -> None:
    with pytest.raises(NotFoundError, match="no alias 'champion' of the model 'unknown'"):
        ledger.mark_written(warehouse, model_name="unknown", alias="champion", version="1", now=NOW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": "maybe"}, "no verdict 'maybe'; a decision is one of approved, rejected, rolled_back"),
        ({"channel": "telepathy"}, "no channel 'telepathy'"),
        ({"decided_by": ""}, "needs the name of who decided"),
    ],
)
def test_bad_decisions_are_refused(warehouse: Warehouse, changes: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        approve(warehouse, "1", **changes)
    assert ledger.list_decisions(warehouse) == []


def test_a_canary_is_begun_with_its_lists_only(warehouse: Warehouse) -> None:
    with pytest.raises(SettingsError, match="A canary is begun with its lists"):
        decide(warehouse, "canary", "2")
    assert ledger.list_decisions(warehouse) == []


def decision(number: int, verdict: str, version: str, restored: str | None = None) -> Decision:
    model = MODEL if restored else None
    return Decision(
        number,
        str(number),
        PLACEMENT,
        MODEL,
        version,
        verdict,
        "ada",
        datetime(2025, 1, 1),
        "cli",
        "",
        model,
        restored,
    )


STEPS = st.lists(st.tuples(st.sampled_from(["approved", "rejected", "undo"]), st.integers(1, 4).map(str)), max_size=12)


@given(steps=STEPS)
def test_the_champion_is_the_top_of_a_stack(steps: list[tuple[str, str]]) -> None:
    history: list[Decision] = []
    stack: list[str] = []
    for number, (verdict, version) in enumerate(steps):
        if verdict == "undo":
            if len(stack) < 2:
                continue
            history.append(decision(number, "rolled_back", stack[-1], stack[-2]))
            # Two approvals of one version with another between: the later place is the one returned to.
            stack.pop()
        else:
            history.append(decision(number, verdict, version))
            if verdict == "approved" and stack[-1:] != [version]:
                stack.append(version)
    assert ledger.champions(history) == [(MODEL, version) for version in stack]


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_alias_champion_always_names_the_champion(warehouse: Warehouse, steps: list[tuple[str, str]]) -> None:
    for number, (verdict, version) in enumerate(steps):
        kind = "rolled_back" if verdict == "undo" else verdict
        decide(warehouse, kind, version, number, reason=f"step {number}")
        assert wanted(warehouse).get("champion") == champion_of(warehouse)
        before = ledger.previous_champion(warehouse, PLACEMENT)
        assert wanted(warehouse).get("previous") == (before.model_version if before else None)


def test_a_clock_that_is_behind_does_not_turn_the_order_round(warehouse: Warehouse) -> None:
    """Who approves after a rollback approves after it, also by the time, whatever the clock of their machine says."""
    migrate(warehouse)
    behind = NOW - timedelta(minutes=5)
    approve(warehouse, "1")
    approve(warehouse, "2", now=behind)
    approve(warehouse, "2", verdict=ledger.ROLLED_BACK, now=behind)
    ledger.mark_written(warehouse, model_name=MODEL, alias="champion", version="1", now=NOW + timedelta(minutes=1))
    approve(warehouse, "3", now=NOW + timedelta(seconds=2))
    approve(warehouse, "4", now=NOW + timedelta(hours=1))
    times = [one.decided_at for one in ledger.list_decisions(warehouse)]
    assert times == sorted(set(times))
    assert times[0] == NOW
    assert times[1] - NOW == timedelta(microseconds=1)
    assert times[3] > NOW + timedelta(minutes=1)
    assert times[4] == NOW + timedelta(hours=1)
    champion = ledger.champion_at(warehouse, PLACEMENT, NOW + timedelta(minutes=2))
    assert champion is not None and champion.model_version == "3"
