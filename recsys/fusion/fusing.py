"""Makes the table of candidates from the generators' proposals, by the placement's method."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from recsys.fusion import rrf, rules, scores, union
from recsys.fusion.base import Method
from recsys.settings import PlacementSettings

METHODS: dict[str, Method] = {
    "rrf": rrf.METHOD,
    "scores": scores.METHOD,
    "rules": rules.METHOD,
    "union": union.METHOD,
}


def fuse(
    connection: duckdb.DuckDBPyConnection,
    proposals: Mapping[str, Path],
    generators: Sequence[str],
    placement: PlacementSettings,
) -> None:
    """Make the table ``candidates`` from the generators' proposals.

    One row a customer and product: each generator's ``<name>_score`` and ``<name>_rank`` (null where it did
    not propose the product), ``fused_score`` and ``fused_rank`` from 1 (ties: the lower item_idx).

    Args:
        connection: where the table is made; fusion by rules may need its views, see ``recsys.fusion.rules``.
        proposals: Parquet file of each generator, columns user_idx, item_idx, score, rank.
        generators: the recipe's; one without proposals gets empty columns.
        placement: says the method, the generators' weights (1 where absent) and how many candidates of a
            customer are kept.
    """
    votes = ", ".join(f"{name}_vote" for name in generators)
    connection.execute(
        f"""
        create or replace temp table candidates as
        with {voted_sql(proposals, generators, placement)},
        scored as (select * exclude ({votes}), {_combined(generators, placement)} as fused_score from voted)
        select *, row_number() over (partition by user_idx order by fused_score desc, item_idx) as fused_rank
        from scored
        qualify fused_rank <= {int(placement.fused)}
        """,
        files_of(proposals),
    )


def voted_sql(proposals: Mapping[str, Path], generators: Sequence[str], placement: PlacementSettings) -> str:
    """Return the steps (CTEs) up to ``voted``: a row a customer and product with each generator's score, rank and vote.

    The query that they are part of takes the parameters of :func:`files_of`.
    """
    proposed = " union all ".join(
        f"select user_idx, item_idx, score, rank, '{name}' as generator from read_parquet($file_{name})"
        for name in proposals
    )
    columns = ", ".join(
        f"max({column}) filter (generator = '{name}') as {name}_{column}"
        for name in generators
        for column in ("score", "rank", "vote")
    )
    votes = METHODS[placement.fusion].votes(generators, placement)
    return f"""
        proposed as ({proposed}),
        votes as ({votes}),
        voted as (select user_idx, item_idx, {columns} from votes group by user_idx, item_idx)
    """


def files_of(proposals: Mapping[str, Path]) -> dict[str, str]:
    """Return the query parameters that name the generators' files."""
    return {f"file_{name}": str(path) for name, path in proposals.items()}


def _combined(generators: Sequence[str], placement: PlacementSettings) -> str:
    method = METHODS[placement.fusion]
    weights = {name: float(placement.weights.get(name, 1.0)) if method.is_weighted else 1.0 for name in generators}
    weighted = [f"{weight!r} * {name}_vote" for name, weight in weights.items()]
    if method.combine == "greatest":
        return f"greatest({', '.join(weighted)})"
    return " + ".join(f"coalesce({vote}, 0)" for vote in weighted)
