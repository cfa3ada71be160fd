"""Processes that read in a loop while publications and rollbacks follow each other: they see whole sets only."""

import random
from datetime import timedelta

import pytest

from recsys.publication import publish, rollback
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.engines import POSTGRESQL
from tests.support.publications import NOW, PLACEMENT, made_lists, write_publication
from tests.support.readers import reading
from tests.support.wholeness import debts

READERS = 2


@pytest.mark.parametrize("moves", [24, pytest.param(400, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_no_read_is_torn(warehouse: Warehouse, settings: Settings, moves: int) -> None:
    """Plain SQL on the server, the live files of the embedded warehouse."""
    chance = random.Random(moves)
    folder = settings.resolved_home
    place = settings.database_url if warehouse.dialect == POSTGRESQL else str(folder / "live")
    publish(warehouse, settings, write_publication(folder / "files", "p0", made_lists(label="p0")), now=NOW)
    is_published, rollbacks = False, 0
    with reading(place, READERS) as ended:
        for move in range(1, moves + 1):
            now = NOW + timedelta(hours=move)
            if is_published and chance.random() < 0.3:
                told = {"decided_by": "ada", "channel": "cli", "reason": "worse"}
                rollback(warehouse, settings, PLACEMENT, **told, now=now)
                is_published, rollbacks = False, rollbacks + 1
            else:
                lists = write_publication(folder / "files", f"p{move}", made_lists(shift=move, label=f"p{move}"))
                publish(warehouse, settings, lists, now=now)
                is_published = True
        found = ended()
    print(f"{moves} moves, {rollbacks} of them rollbacks: {[(one['reads'], len(one['torn'])) for one in found]}")
    assert [fault for one in found for fault in one["torn"]] == []
    assert rollbacks > 0
    for one in found:
        # Less would show nothing.
        assert len(one["seen"]) > 3
    assert debts(warehouse, settings) == []
