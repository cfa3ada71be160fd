"""What lists amount to: rows, customers and a checksum, by which what is stored is compared with what was handed in."""

from dataclasses import dataclass

import duckdb

from recsys.assets import read_sql
from recsys.columns import BUCKET, RANK, SUBJECT_ID
from recsys.errors import ContractError


@dataclass(frozen=True)
class Totals:
    """What a set of rows amounts to; equal totals mean equal rows."""

    row_count: int
    user_count: int
    checksum: str

    def replacing(self, old: "Totals", fresh: "Totals") -> "Totals":
        """Return what these lists amount to after some of them, ``old``, have made way for ``fresh`` ones."""
        return Totals(
            self.row_count - old.row_count + fresh.row_count,
            self.user_count - old.user_count + fresh.user_count,
            str(int(self.checksum) - int(old.checksum) + int(fresh.checksum)),
        )


def totals(bench: duckdb.DuckDBPyConnection, lists: str) -> Totals:
    """Return what lists amount to.

    Args:
        bench: an engine.
        lists: its table of them: bucket, subject_id, list_hash, row_count and keyless_count.

    Raises:
        ContractError: if rows lack their bucket, subject or rank.
    """
    bench.execute(f"create or replace temp view publication_lists as from {lists}")
    rows, users, keyless, checksum = bench.execute(read_sql("publication", "totals.sql")).fetchall()[0]
    if keyless:
        raise ContractError(
            f"{keyless} of {rows} rows of lists have no {BUCKET}, {SUBJECT_ID} or {RANK}. Make the lists again."
        )
    return Totals(int(rows), int(users), str(checksum))
