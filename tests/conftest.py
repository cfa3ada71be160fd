"""What holds for all tests."""

import os

from tests.support.engines import copies, warehouse_engine, warehouse_url
from tests.support.postgres import postgres_url

__all__ = ["copies", "postgres_url", "warehouse_engine", "warehouse_url"]

# Threads of LightGBM that wait for each other sleep instead of spinning, as under the command line: test processes that
# share two cores would otherwise take turns in waiting, and a training of a second takes a minute. The library reads
# it once, when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
