"""Rule-based fusion: the generators have their turns in a fixed order, each with a quota.

A generator's turn gives its best products, as many as its quota; a product that an earlier turn gave keeps its
place. What is beyond the quotas comes after all turns, by rank. For some customers other rules may hold: the
first switch that fits a customer (their segment, how much they bought before) replaces order and quotas.
"""

from collections.abc import Sequence
from threading import Lock

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.compute import fetch_columns
from recsys.fusion.base import Method, Proposed
from recsys.settings import FusionRule, FusionSwitch, PlacementSettings

TURN = 100_000  # more than any rank
_ASKING = Lock()  # customers are scored by several threads, and a connection answers one at a time


def votes(
    proposed: Proposed, generators: Sequence[str], rules: PlacementSettings, connection: duckdb.DuckDBPyConnection
) -> NDArray[np.float64]:
    """Return minus the place in the sequence of turns.

    With switches, the connection has ``users`` (user_idx, segment) and ``features_user`` (user_idx, user_lines).
    """
    switches = rules.rules.switches
    known = [rules.rules, *switches]
    share = max(1, rules.fused // len(generators))
    turns = np.array([[_ordered(rule, generators).index(name) for name in generators] for rule in known])
    quotas = np.array([[rule.quotas.get(name, share) for name in generators] for rule in known])
    rule = _chosen(connection, switches, proposed.user_idx) if switches else np.zeros(len(proposed.rank), np.intp)
    turn, rank = turns[rule, proposed.generator], proposed.rank.astype(np.int64)
    beyond = len(generators) * TURN + rank * len(generators) + turn
    place = np.where(rank <= quotas[rule, proposed.generator], turn * TURN + rank, beyond)
    return -place.astype(np.float64)


def _ordered(rule: FusionRule, generators: Sequence[str]) -> list[str]:
    first = [name for name in rule.order if name in generators]
    return first + [name for name in generators if name not in first]


def _chosen(
    connection: duckdb.DuckDBPyConnection, switches: Sequence[FusionSwitch], user_idx: NDArray[np.int32]
) -> NDArray[np.intp]:
    """Return (p,) the number of the rule that holds for each customer: 0, or that of the first switch that fits."""
    users, place = np.unique(user_idx, return_inverse=True)
    with _ASKING:
        connection.register("fused_users", pa.table({c.USER_IDX: users}))
        found = fetch_columns(
            connection,
            f"select {_choice(switches)} as rule from fused_users "
            "left join users on fused_users.user_idx = users.user_idx "
            "left join features_user on fused_users.user_idx = features_user.user_idx order by fused_users.user_idx",
        )
        connection.unregister("fused_users")
    return found["rule"].astype(np.intp)[place]


def _choice(switches: Sequence[FusionSwitch]) -> str:
    """Return the SQL of the number of the rule that holds for a customer."""
    cases = []
    for number, switch in enumerate(switches, start=1):
        conditions = []
        if switch.segments:
            names = ", ".join("'" + name.replace("'", "''") + "'" for name in switch.segments)
            conditions.append(f"users.segment in ({names})")
        if switch.max_purchases is not None:
            conditions.append(f"coalesce(features_user.user_lines, 0) <= {switch.max_purchases}")
        cases.append(f"when {' and '.join(conditions)} then {number}")
    return f"case {' '.join(cases)} else 0 end"


METHOD = Method(votes, combine="greatest", is_weighted=False)
