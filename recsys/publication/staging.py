"""Brings the lists of a publication into the warehouse, out of every reader's sight.

Everything is one transaction: a killed attempt leaves either nothing or all of its staged rows, and the next
attempt replaces them. A list that the warehouse holds already, from an earlier publication, is not copied.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection

from recsys.assets import read_sql
from recsys.columns import (
    BUCKET,
    ITEM_ID,
    PROPENSITY,
    PUBLISHED,
    RANK,
    REASON,
    RECOMMENDABLE,
    SCORE,
    SOURCE,
    SUBJECT_ID,
)
from recsys.compute import engine
from recsys.disguise import revealed
from recsys.do_not_process import DoNotProcess
from recsys.errors import ConflictError, ContractError
from recsys.pseudonyms import PATTERN
from recsys.publication.bases import load_stored_own, require_main, whole_totals
from recsys.publication.parts import Stored, count_lists_of, store_rows, stored_lists_query
from recsys.publication.records import MAIN, NewPublication, find_publication
from recsys.publication.statements import lock_storage, run
from recsys.publication.totals import Totals, totals
from recsys.settings import Settings
from recsys.warehouse import Warehouse

BATCH_ROWS: Final = 100_000
LIST_COLUMNS: Final = {
    BUCKET: "smallint",
    SUBJECT_ID: "varchar",
    RANK: "smallint",
    ITEM_ID: "varchar",
    SCORE: "double",
    SOURCE: "varchar",
    REASON: "varchar",
    PROPENSITY: "double",
}
_NAMED: Final = "semi join list_hashes using (subject_id, list_hash)"
ITEM_COLUMNS: Final = {ITEM_ID: "varchar", RECOMMENDABLE: "boolean"}
_KINDS: Final = {
    "smallint": pa.types.is_integer,
    "double": pa.types.is_floating,
    "boolean": pa.types.is_boolean,
    "varchar": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
}


@contextmanager
def open_lists(
    settings: Settings, publication: NewPublication, names: Callable[[], Mapping[str, str]] = dict
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an engine with the publication's files as the views ``incoming`` and ``known_items``.

    Args:
        settings: threads, memory, and who must not be processed.
        publication: the lists.
        names: gives the ids of pseudonyms, asked if the lists are of customers by pseudonyms.

    Raises:
        ContractError: naming the file and the columns that are missing or of the wrong kind.
    """
    if not publication.lists:
        raise ContractError(f"The publication {publication.publication_id} has no files of lists.")
    _check_columns(publication.lists, LIST_COLUMNS)
    _check_columns((publication.known_items,), ITEM_COLUMNS)
    with engine(settings) as bench:
        _view(bench, "given", publication.lists, LIST_COLUMNS)
        _named(bench, settings, names)
        _view(bench, "known_items", (publication.known_items,), ITEM_COLUMNS)
        yield bench


def _named(bench: duckdb.DuckDBPyConnection, settings: Settings, names: Callable[[], Mapping[str, str]]) -> None:
    """Make ``incoming`` of what was given: under ids, without lists of who was erased while they were made."""
    bench.execute("create temp view incoming as from given")
    listed = DoNotProcess.kept(settings)
    [(disguised,)] = bench.execute(
        f"select coalesce(bool_or(regexp_matches({SUBJECT_ID}, $pattern)), false) from given", {"pattern": PATTERN}
    ).fetchall()
    if not disguised and not listed.marks:
        return
    subjects = [str(row[0]) for row in bench.execute(f"select distinct {SUBJECT_ID} from given").fetchall()]
    found = revealed(subjects, names()) if disguised else {}
    known = {subject: found.get(subject, subject) for subject in subjects}
    gone = {*listed.among(known.values())}
    kept = {subject: user_id for subject, user_id in known.items() if user_id is not None and user_id not in gone}
    if kept == {subject: subject for subject in subjects}:
        return
    pairs = {"subject": pa.array(list(kept), pa.string()), "user_id": pa.array(list(kept.values()), pa.string())}
    bench.register("kept", pa.table(pairs))
    bench.execute(
        f"create or replace temp view incoming as select given.* replace (kept.user_id as {SUBJECT_ID}) "
        f"from given inner join kept on given.{SUBJECT_ID} = kept.subject"
    )


def hash_lists(bench: duckdb.DuckDBPyConnection) -> Totals:
    """Make ``list_hashes`` of ``incoming``, one row per list, and return what they amount to.

    Raises:
        ContractError: if rows lack their bucket, subject or rank, or have one that is out of range.
    """
    try:
        bench.execute("create or replace temp table list_hashes as " + read_sql("publication", "list_hashes.sql"))
    except duckdb.ConversionException as error:
        raise ContractError(f"The lists hold a {BUCKET} or {RANK} that is out of range: {error}") from error
    return totals(bench, "list_hashes")


def stage(
    warehouse: Warehouse,
    bench: duckdb.DuckDBPyConnection,
    publication: NewPublication,
    counted: Totals,
    *,
    attempt: str,
    items_shown: int,
    kind: str = MAIN,
    now: datetime,
) -> Stored:
    """Store the lists with the status ``staged``, in one transaction.

    Args:
        warehouse: an open, migrated warehouse.
        bench: see :func:`open_lists` and :func:`hash_lists`.
        publication: whose lists.
        counted: the totals of ``incoming``.
        attempt: the fencing token: only who staged may bring live.
        items_shown: rows of a list that readers see.
        kind: main, canary or archive.
        now: naive UTC.

    Returns:
        Where the lists are.

    Raises:
        ContractError: if its base can't be one.
        ConflictError: if another attempt brought the publication live meanwhile, or its base is no longer stored.
    """
    require_main(publication, kind)
    if publication.base is not None:
        count_lists_of(warehouse, publication.base)
    with warehouse.transaction() as connection:
        lock_storage(connection, publication.placement)
        run(connection, "ensure_pointer", placement=publication.placement)
        run(connection, "remove_lists", publication_id=publication.publication_id)
        chosen = {"attempt": attempt, "items_shown": items_shown, "kind": kind, "now": now}
        warehouse.append(connection, f"{PUBLISHED}.publication_lists", _lists(bench, publication))
        whole = whole_totals(warehouse, connection, bench, publication, counted)
        _register(warehouse, connection, publication, whole, {**chosen, "own_row_count": counted.row_count})
        if publication.base is None:
            _load_stored(warehouse, bench, publication.placement)
        else:
            load_stored_own(warehouse, connection, bench, publication)
        return _store_rows(warehouse, connection, bench, publication)


def _store_rows(
    warehouse: Warehouse, connection: Connection, bench: duckdb.DuckDBPyConnection, publication: NewPublication
) -> Stored:
    """Store the rows of lists that are not among ``stored_lists``; return where those of the publication are."""
    bench.execute("create or replace temp table new_lists as " + read_sql("publication", "new_lists.sql"))
    shared = bench.execute(f"select distinct part from stored_lists {_NAMED} order by part").fetchall()
    parts = [part for (part,) in shared]
    if bench.execute("select 1 from new_lists limit 1").fetchall():
        parts.append(store_rows(warehouse, connection, publication.placement, _new_rows(bench, publication)))
    # One that is not known: what is stored is found by a join.
    return Stored(() if None in parts else tuple(parts))


def _register(
    warehouse: Warehouse,
    connection: Connection,
    publication: NewPublication,
    counted: Totals,
    chosen: Mapping[str, Any],
) -> None:
    """Write the publication's row, taking over what an earlier attempt left."""
    row = {
        "publication_id": publication.publication_id,
        "placement": publication.placement,
        "as_of": publication.as_of,
        "model_name": publication.model_name,
        "model_version": publication.model_version,
        "state_id": publication.state_id,
        "run_id": publication.run_id,
        "snapshot_id": publication.snapshot_id,
        "code_commit": publication.code_commit,
        "base": publication.base,
        "user_count": counted.user_count,
        "row_count": counted.row_count,
        "checksum": counted.checksum,
        **chosen,
    }
    if run(connection, "restage_publication", **row):
        return
    if find_publication(warehouse, publication.publication_id, connection=connection) is not None:
        raise ConflictError(
            f"The publication {publication.publication_id} was changed by another attempt while this one "
            "began. Run the publication again: it is a skip if the other attempt finished."
        )
    run(connection, "add_publication", **row)


def _load_stored(warehouse: Warehouse, bench: duckdb.DuckDBPyConnection, placement: str) -> None:
    """Make ``stored_lists`` of what the warehouse holds; the storage lock keeps it from being removed."""
    with warehouse.read_arrow(stored_lists_query(warehouse), {"placement": placement}) as reader:
        bench.register("stored_reader", reader)
        bench.execute("create or replace temp table stored_lists as from stored_reader")
        bench.unregister("stored_reader")


def _lists(bench: duckdb.DuckDBPyConnection, publication: NewPublication) -> pa.RecordBatchReader:
    query = (
        "select $publication_id as publication_id, bucket, subject_id, list_hash from list_hashes "
        "order by bucket, subject_id"
    )
    params = {"publication_id": publication.publication_id}
    return bench.sql(query, params=params).to_arrow_reader(BATCH_ROWS)


def _new_rows(bench: duckdb.DuckDBPyConnection, publication: NewPublication) -> pa.RecordBatchReader:
    query = read_sql("publication", "new_rows.sql")
    return bench.sql(query, params={"placement": publication.placement}).to_arrow_reader(BATCH_ROWS)


def _check_columns(files: tuple[Path, ...], columns: dict[str, str]) -> None:
    for path in files:
        try:
            schema = pq.read_schema(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise ContractError(f"{path} can't be read as Parquet: {error}. Make it again.") from error
        missing = [name for name in columns if name not in schema.names]
        if missing:
            raise ContractError(
                f"{path} lacks {', '.join(missing)}; it has {', '.join(schema.names)}. "
                f"It must have {', '.join(columns)}."
            )
        wrong = [
            f"{name} is {schema.field(name).type} instead of {kind}"
            for name, kind in columns.items()
            if not _KINDS[kind](schema.field(name).type)
        ]
        if wrong:
            raise ContractError(f"{path} holds columns of the wrong kind: {'; '.join(wrong)}. Make it again.")


def _view(bench: duckdb.DuckDBPyConnection, name: str, files: tuple[Path, ...], columns: dict[str, str]) -> None:
    picked = ", ".join(f"cast({column} as {kind}) as {column}" for column, kind in columns.items())
    bench.read_parquet([str(path) for path in files]).project(picked).create_view(name)
