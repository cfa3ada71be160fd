"""One small shop on which the whole chain ran once, for the tests of this folder that only read."""

from collections.abc import Iterator

import pytest

from tests.support.chain import Ran, run, write_chain_shop
from tests.support.planted import quick_settings


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A DuckDB warehouse and a SQLite MLflow below one home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        settings = quick_settings(tmp_path_factory.mktemp("ran"))
        write_chain_shop(settings)
        yield run(settings)
