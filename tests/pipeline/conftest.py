"""One small shop on which the whole chain ran once, for the tests of this folder that only read."""

from collections.abc import Iterator

import pytest

from tests.support.chain import Ran, shared_run


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A DuckDB warehouse and a SQLite MLflow below one home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield shared_run(tmp_path_factory.getbasetemp())
