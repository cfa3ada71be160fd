"""Some customers' histories and lists before and after, for a person to look at."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import engine
from recsys.evaluation.metrics import Truth
from recsys.evaluation.roles import K
from recsys.lists import Lists
from recsys.pseudonyms import Pseudonyms
from recsys.settings import Settings
from recsys.snapshot import Snapshot

EXAMPLES = 10
HISTORY = 8
BEFORE, AFTER, RANKED = "before", "after", "ranked"


def collect_examples(
    settings: Settings,
    snapshot: Snapshot,
    placement: str,
    cut_at: datetime,
    truth: Truth,
    lists: Mapping[str, Lists],
) -> list[dict[str, Any]]:
    """Return a few of the measured customers, evenly drawn rather than chosen, with what they bought and are shown.

    Args:
        settings: in force.
        snapshot: has titles and histories.
        placement: whose lists.
        cut_at: when the lists are made.
        truth: what the customers bought afterwards.
        lists: by kind: ``after``, what the new model would show; ``ranked``, the same before it was shaped; ``before``,
            what the model that serves shows at the same cut, if one does.

    Returns:
        For each: placement, user (a pseudonym), segment, history (product titles, the last bought first), before, after
        and ranked (title, is_bought: in the window, other_rank: its rank in the other list or None; that of after is
        before, that of the others is after); before is empty for a first model.
    """
    chosen = _drawn(np.intersect1d(truth.users, lists[AFTER].user_idx))
    with engine(settings) as connection:
        snapshot.attach(connection)
        connection.register("chosen", pa.table({c.USER_IDX: chosen}))
        connection.register("shown", pa.concat_tables(_shown(kind, own, chosen) for kind, own in lists.items()))
        connection.register("relevant", pa.table({c.USER_IDX: truth.pair_users, c.ITEM_IDX: truth.pair_items}))
        query = connection.sql(read_sql("evaluation", "examples.sql"), params={"cut_at": cut_at, "history": HISTORY})
        rows = query.to_arrow_table().to_pylist()
    name = Pseudonyms.of(settings).name
    return [
        {"placement": placement, **row, "user": name(row["user"])}
        | {part: row[part] or [] for part in ("history", BEFORE, AFTER, RANKED)}
        for row in rows
    ]


def _drawn(users: NDArray[np.integer]) -> NDArray[np.integer]:
    return users[np.linspace(0, len(users) - 1, min(EXAMPLES, len(users))).astype(int)] if len(users) else users


def _shown(kind: str, lists: Lists, users: NDArray[np.integer]) -> pa.Table:
    kept = np.isin(lists.user_idx, users) & (lists.rank <= K)
    return pa.table(
        {
            "kind": pa.array([kind] * int(kept.sum()), pa.string()),
            c.USER_IDX: lists.user_idx[kept],
            c.ITEM_IDX: lists.item_idx[kept],
            c.RANK: lists.rank[kept],
        }
    )
