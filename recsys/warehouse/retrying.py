"""Work that is done again where the server undid it for a reason that passes."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from recsys.errors import TransientWarehouseError

ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.2

Result = TypeVar("Result")


def retried(work: Callable[[], Result]) -> Result:
    """Do what is one transaction, and again if it was undone by a deadlock, a clash or a cut connection.

    Args:
        work: begins its own transaction, and finds its own traces should the cut have come after the commit.

    Raises:
        TransientWarehouseError: if it was undone three times.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return work()
        except TransientWarehouseError:
            # Two that clashed should not meet again at once.
            time.sleep(_PAUSE_SECONDS * attempt)
    return work()
