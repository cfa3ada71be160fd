"""Fusion: the proposals of several generators as one candidate list a customer.

Reciprocal rank fusion (Cormack, Clarke, Buettcher 2009): a product's score is the sum over the generators
of weight / (60 + rank). Ranks need no calibration, so a generator can be added without touching others.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

RRF_K = 60


def fuse(
    connection: duckdb.DuckDBPyConnection,
    proposals: Mapping[str, Path],
    generators: Sequence[str],
    weights: Mapping[str, float],
    keep: int,
) -> None:
    """Make the table ``candidates`` from the generators' proposals.

    One row a customer and product: each generator's ``<name>_score`` and ``<name>_rank`` (null where it did
    not propose the product), ``fused_score`` and ``fused_rank`` from 1 (ties: the lower item_idx).

    Args:
        connection: where the table is made.
        proposals: Parquet file of each generator, columns user_idx, item_idx, score, rank.
        generators: the recipe's; one without proposals gets empty columns.
        weights: of a generator; 1 where absent.
        keep: candidates kept of a customer.
    """
    union = " union all ".join(
        f"select user_idx, item_idx, score, rank, '{name}' as generator from read_parquet($file_{name})"
        for name in proposals
    )
    columns = ", ".join(
        f"max(score) filter (generator = '{name}') as {name}_score, "
        f"max(rank) filter (generator = '{name}') as {name}_rank"
        for name in generators
    )
    fused = " + ".join(
        f"coalesce({float(weights.get(name, 1.0))!r} / ({RRF_K} + {name}_rank), 0)" for name in generators
    )
    connection.execute(
        f"""
        create or replace temp table candidates as
        with pivoted as (
            select user_idx, item_idx, {columns} from ({union}) group by user_idx, item_idx
        ),
        scored as (select *, {fused} as fused_score from pivoted)
        select *, row_number() over (partition by user_idx order by fused_score desc, item_idx) as fused_rank
        from scored
        qualify fused_rank <= {int(keep)}
        """,
        {f"file_{name}": str(path) for name, path in proposals.items()},
    )
