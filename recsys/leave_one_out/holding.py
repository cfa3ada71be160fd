"""What is known while each customer's last events are held back.

Held 1, 2 and 3 are the three stands of the protocol::

    ... a b c | d | e | f          the events of a customer
              3   2   1            held: what stands right of the bar is hidden

With 2 held, ``e`` is asked for: that is the validation. With 1 held, ``f``: that is the test. With 3 held, ``d``
gives the ranker more to learn from. Other customers' later events are not hidden; that is what leave-one-out means.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.candidates import GENERATORS, needs_of
from recsys.compute import engine, fetch_columns
from recsys.cuts import lay_own_cuts
from recsys.evaluation.metrics import Truth
from recsys.history import History, read_history
from recsys.leave_one_out.interactions import ROOM
from recsys.settings import Settings
from recsys.snapshot import Snapshot

TEST: Final = 1
VALIDATION: Final = 2
EARLIER: Final = 3


@dataclass(frozen=True)
class Labels:
    """The event that was held back and is asked for: (n,) customers, ascending, and their products."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]

    def truth(self) -> Truth:
        """Return it in the form that metrics take."""
        return Truth.of(self.users, self.items)

    def of(self, chosen: NDArray[np.bool_]) -> "Labels":
        """Return those of some customers."""
        return Labels(self.users[chosen], self.items[chosen])


def read_labels(source: Snapshot, held: int) -> Labels:
    """Read the products that customers turned to at their ``held``-th last event."""
    with duckdb.connect() as connection:
        rows = fetch_columns(connection, read_sql(ROOM, "labels.sql"), {"files": source.event_files(), "held": held})
    return Labels(rows[c.USER_IDX].astype(np.int32), rows[c.ITEM_IDX].astype(np.int32))


@dataclass
class Stand:
    """What is known with the last ``held`` events of each customer hidden; ``connection`` sees nothing else."""

    connection: duckdb.DuckDBPyConnection
    source: Snapshot
    held: int
    _histories: dict[tuple[object, ...], History] = field(default_factory=dict)

    def history(self, settings: Settings) -> History:
        """Return the history of all customers, under the settings of the candidates."""
        chosen = settings.candidates
        key = (chosen.half_life_days, chosen.popularity_days, tuple(chosen.event_weights.items()))
        if key not in self._histories:
            self._histories[key] = read_history(
                self.connection,
                settings,
                self.source.as_of,
                self.source.user_count,
                needs=needs_of(GENERATORS),
            )
        return self._histories[key]


@contextmanager
def stand_at(settings: Settings, source: Snapshot, held: int) -> Iterator[Stand]:
    """Open what is known with the last ``held`` events of each customer hidden."""
    with engine(settings) as connection:
        source.attach(connection)
        connection.execute(f"alter view {c.EVENTS} rename to all_events")
        connection.execute("create temp table own_cuts as " + read_sql(ROOM, "cuts.sql"), {"held": held})
        connection.execute("create temp view cuts as from own_cuts")
        connection.execute(f"create temp table {c.EVENTS} as {read_sql(ROOM, 'known_events.sql')}")
        connection.execute("drop view cuts")
        connection.execute("drop view all_events")
        lay_own_cuts(connection, "from own_cuts", source.as_of)
        yield Stand(connection, source, held)
