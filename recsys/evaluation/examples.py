"""Some customers' histories and lists, for a person to look at."""

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from recsys import columns as c
from recsys.compute import engine
from recsys.lists import Lists
from recsys.settings import Settings
from recsys.snapshot import Snapshot

EXAMPLES = 5
HISTORY = 8


def collect_examples(
    settings: Settings, snapshot: Snapshot, placement: str, cut_at: datetime, lists: Lists
) -> list[dict[str, Any]]:
    """Return a few customers, evenly drawn, with what they bought last before a cut and what they were shown.

    Returns:
        For each: placement, user, history and after (product titles); before is empty for a first model.
    """
    users = np.unique(lists.user_idx)
    chosen = users[np.linspace(0, len(users) - 1, min(EXAMPLES, len(users))).astype(int)] if len(users) else users
    with engine(settings) as connection:
        snapshot.attach(connection)
        connection.register("chosen", pa.table({c.USER_IDX: chosen}))
        connection.register(
            "shown", pa.table({c.USER_IDX: lists.user_idx, c.ITEM_IDX: lists.item_idx, c.RANK: lists.rank})
        )
        rows = connection.execute(
            """
            with bought as (
                select user_idx, item_idx, max(occurred_at) as last_at
                from events where event_type = 'purchase' and occurred_at < $cut_at
                and user_idx in (select user_idx from chosen)
                group by user_idx, item_idx
                qualify row_number() over (partition by user_idx order by last_at desc, item_idx) <= $history
            )
            select
                users.user_id,
                (select list(items.title order by bought.last_at desc, items.item_idx) from bought
                 inner join items using (item_idx) where bought.user_idx = users.user_idx),
                (select list(items.title order by shown.rank) from shown
                 inner join items using (item_idx) where shown.user_idx = users.user_idx)
            from users inner join chosen using (user_idx) order by users.user_idx
            """,
            {"cut_at": cut_at, "history": HISTORY},
        ).fetchall()
    return [
        {"placement": placement, "user": user, "history": history or [], "before": [], "after": after or []}
        for user, history, after in rows
    ]
