"""What holds for all tests."""

import os

import pytest

from tests.support.engines import copies, warehouse_engine, warehouse_url
from tests.support.object_store import object_address, store_url
from tests.support.postgres import postgres_url

__all__ = ["copies", "object_address", "postgres_url", "store_url", "warehouse_engine", "warehouse_url"]

# Threads of LightGBM that wait for each other sleep instead of spinning, as under the command line: test processes that
# share two cores would otherwise take turns in waiting, and a training of a second takes a minute. The library reads
# it once, when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

LONGEST = (
    "tests/e2e/test_demo.py",
    "tests/e2e/test_decisions.py",
    "tests/publication/test_broken_runs.py",
    "tests/e2e/test_composed.py",
    "tests/pipeline/test_killed_stages.py",
    "tests/e2e/test_review_page.py",
)
"""Files of minutes: they begin first, so that no worker is left with one of them while the other has nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the rest stays in its order."""

    def place(item: pytest.Item) -> int:
        name, _, _ = item.nodeid.partition("::")
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)
