"""One run on made sequences that several tests look at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recsys.leave_one_out import Outcome, evaluate_interactions
from recsys.settings import CandidateSettings, GateSettings
from tests.support.sequences import walks, write_sequences
from tests.support.warehouse import make_settings

CUSTOMERS, ITEMS = 260, 50
GENERATORS = ("popularity", "item_cf", "als")


def evaluate(folder: Path, file: Path, **arguments: Any) -> Outcome:
    """Run the protocol with generators that take no time."""
    # One thread: two of LightGBM that wait for each other are slow on a busy machine.
    overrides = {"threads": 1} | {name: arguments.pop(name) for name in ("threads", "evaluation") if name in arguments}
    settings = make_settings(
        folder,
        candidates=CandidateSettings(als_factors=8, als_iterations=3),
        gate=GateSettings(bootstrap=200),
        **overrides,
    )
    return evaluate_interactions(settings, interactions=file, **{"generators": GENERATORS, **arguments})


@pytest.fixture(scope="session")
def sequences() -> Mapping[str, list[str]]:
    """Sequences in which item n + 1 mostly follows item n."""
    return walks(CUSTOMERS, ITEMS)


@pytest.fixture(scope="session")
def outcome(tmp_path_factory: pytest.TempPathFactory, sequences: Mapping[str, list[str]]) -> Outcome:
    """What the protocol finds on them."""
    folder = tmp_path_factory.mktemp("walks")
    return evaluate(folder, write_sequences(folder / "walks.parquet", sequences))
