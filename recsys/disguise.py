"""Pseudonyms in place of ids in whole snapshots, for shops that set ``privacy.pseudonymise``.

What is extracted is disguised before anything is made of it, so snapshots and all that follows hold no id. The lists
are published under the ids, which the shop's tables give back: ``live_recommendations`` is the same with and without.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from recsys import columns as c
from recsys.assets import read_sql
from recsys.pseudonyms import Pseudonyms, is_pseudonym
from recsys.settings import Settings
from recsys.warehouse import Warehouse

_ANYWHERE: Final = re.compile(r"c-[0-9a-f]{20}")
_NAMED: Final = "pseudonym"


def disguise(settings: Settings, *files: Path) -> dict[str, str]:
    """Write pseudonyms for the user_id of Parquet files.

    Returns:
        The id of each pseudonym.
    """
    name = Pseudonyms.of(settings).name
    with duckdb.connect() as bench:
        sql = f"select distinct {c.USER_ID} from read_parquet($files) where {c.USER_ID} is not null"
        known = [str(row[0]) for row in bench.execute(sql.replace("$files", _listed(files))).fetchall()]
        names = {name(user_id): user_id for user_id in known}
        bench.register("names", _as_table(names))
        for path in files:
            fresh = path.with_suffix(".disguised")
            query = (
                f"select own.* replace (names.{_NAMED} as {c.USER_ID}) from read_parquet({_quoted(path)}) as own "
                f"left join names on own.{c.USER_ID} = names.{c.USER_ID}"
            )
            bench.sql(query).write_parquet(str(fresh), compression="zstd")
            fresh.replace(path)
    return names


def reveal_rows(rows: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """Return rows of the quarantine as they were before they were disguised."""
    if not names:
        return rows
    told = [_ANYWHERE.sub(lambda found: names.get(found[0], found[0]), text) for text in rows["row"].to_pylist()]
    return rows.set_column(rows.schema.get_field_index("row"), "row", pa.array(told, pa.string()))


def real_names(settings: Settings, warehouse: Warehouse) -> dict[str, str]:
    """Return the id of every pseudonym, of the customers whom the shop's tables know."""
    name = Pseudonyms.of(settings).name
    known = (str(row[c.USER_ID]) for row in warehouse.query(read_sql("publication", "user_ids.sql")))
    return {name(user_id): user_id for user_id in known}


def revealed(subjects: Iterable[str], names: Mapping[str, str]) -> dict[str, str | None]:
    """Return the id of each subject that is a pseudonym; None for a customer whom nobody knows any more."""
    return {subject: names.get(subject) for subject in subjects if is_pseudonym(subject)}


def _as_table(names: Mapping[str, str]) -> pa.Table:
    pairs = {_NAMED: pa.array(list(names), pa.string()), c.USER_ID: pa.array(list(names.values()), pa.string())}
    return pa.table(pairs)


def _listed(files: Iterable[Path]) -> str:
    return f"[{', '.join(map(_quoted, files))}], union_by_name = true"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
