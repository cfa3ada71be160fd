"""What must hold whatever was killed: all that is stored, for a comparison, and what a reader may see."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import duckdb

from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.engines import POSTGRESQL
from tests.support.warehouse import user_id

LIVE_ROWS: Final = 320
"""Of the made lists: 30 customers, everybody and a segment, ten each."""
OVER: Final = "-over-"
"""In the id of a publication, before that of its base."""
NEWER: Final = frozenset(user_id(number) for number in range(5))
"""Of whom a publication with a base carries lists."""
READ: Final = (
    "select user_id, rank, publication_id, reason from recsys.live_recommendations where placement = 'for_you'"
)
# What differs from attempt to attempt, or with the moment: tokens, counters of the storage.
_TABLES: Final = {
    "publications": "publication_id, placement, status, kind, user_count, row_count, checksum, created_at, live_at, "
    "ended_at, previous_publication_id, decision_id, base_publication_id, own_row_count",
    "publication_lists": "publication_id, bucket, subject_id, list_hash",
    "list_rows": "placement, subject_id, list_hash, rank, item_id, score, source, reason",
    "pointers": "*",
    "pointer_moves": "*",
    "decisions": "placement, model_version, verdict, decided_by, decided_at, channel, reason",
    "alias_projection": "*",
}
_ORPHANS: Final = """
    select count(*) as rows from recsys.list_rows as stored where not exists (
        select 1 from recsys.publication_lists as lists
        where lists.subject_id = stored.subject_id and lists.list_hash = stored.list_hash
    )
"""
_NAMELESS: Final = """
    select count(*) as rows from recsys.publication_lists as lists where not exists (
        select 1 from recsys.publications as kept where kept.publication_id = lists.publication_id
        and kept.status in ('staged', 'live', 'superseded', 'withdrawn')
    )
"""
_DOUBLES: Final = """
    select count(*) as rows from (
        select 1 from recsys.list_rows group by placement, subject_id, list_hash, rank having count(*) > 1
        union all
        select 1 from recsys.publication_lists group by publication_id, subject_id having count(*) > 1
    ) as doubled
"""
_BASELESS: Final = """
    select count(*) as rows from recsys.publications as newer where
        newer.status in ('staged', 'live', 'superseded', 'withdrawn')
        and newer.base_publication_id is not null
        and not exists (
            select 1 from recsys.publication_lists as lists where lists.publication_id = newer.base_publication_id
        )
"""
# On a server each part of the lists is a table: made, attached and written down together.
_PARTS: Final = """
    select
        (select count(*) from pg_class where relkind = 'r' and relname ~ '^list_rows_[0-9]+$') as tables,
        (select count(*) from pg_inherits where inhparent = cast('recsys.list_rows' as regclass)) as attached,
        (select count(*) + 1 from recsys.list_parts) as noted
"""


def torn(rows: Iterable[tuple[str, int, str, str]], *, default: str | None = None) -> str | None:
    """Tell what is wrong with a placement's rows (user, rank, publication, reason) as one reader got them, or None."""
    found = list(rows)
    publications = {row[2] for row in found}
    reasons = {row[3] for row in found}
    if len(publications) != 1 or len(found) != LIVE_ROWS:
        return f"{len(found)} rows of {sorted(publications)}"
    [publication] = publications
    base = publication.partition(OVER)[2] or publication
    if any(row[3] != f"Because {publication if row[0] in NEWER else base} says so." for row in found):
        return f"rows of {publications} with {reasons}"
    ranks = Counter(rank for _, rank, _, _ in found)
    return None if ranks == dict.fromkeys(range(1, 11), LIVE_ROWS // 10) else f"ranks {ranks}"


def read_live_files(folder: Path) -> list[tuple[Any, ...]]:
    """Read the live files as a program outside does."""
    with duckdb.connect() as connection:
        connection.execute((folder / "live_recommendations.sql").read_text(encoding="utf-8"))
        return connection.execute(READ).fetchall()


def read_live_view(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Read the warehouse's view."""
    return [tuple(row.values()) for row in warehouse.query(READ)]


def faults(warehouse: Warehouse, settings: Settings) -> list[str]:
    """Return what is not whole: for readers at any time."""
    seen = {"view": torn(read_live_view(warehouse)), "files": torn(read_live_files(settings.resolved_home / "live"))}
    return [f"{where}: {fault}" for where, fault in seen.items() if fault]


def debts(warehouse: Warehouse, settings: Settings) -> list[str]:
    """Return what a finished run must not leave: orphans, doubles, a ledger that isn't true, files of nobody."""
    found = []
    checks = (
        ("orphaned rows", _ORPHANS),
        ("lists of nobody", _NAMELESS),
        ("doubles", _DOUBLES),
        ("publications without their base", _BASELESS),
    )
    for name, query in checks:
        [row] = warehouse.query(query)
        found += [f"{row['rows']} {name}"] if row["rows"] else []
    found += _untrue(warehouse)
    if warehouse.dialect == POSTGRESQL:
        [parts] = warehouse.query(_PARTS)
        found += [f"parts {parts}"] if len(set(parts.values())) != 1 else []
    [pointer] = warehouse.query("select publication_id from recsys.pointers where placement = 'for_you'")
    shown = {row[2] for row in read_live_files(settings.resolved_home / "live")}
    found += [f"files of {shown}"] if shown != {pointer["publication_id"]} else []
    return found + [f"left: {name}" for name in left_files(settings)]


def _untrue(warehouse: Warehouse) -> list[str]:
    """Compare the pointer, the moves and the statuses with each other."""
    [pointer] = warehouse.query("select publication_id, fence from recsys.pointers where placement = 'for_you'")
    moves = warehouse.query(
        "select fence, publication_id, from_publication_id from recsys.pointer_moves order by fence"
    )
    live = warehouse.query("select publication_id from recsys.publications where status = 'live'")
    staged = warehouse.query("select publication_id from recsys.publications where status = 'staged'")
    found = [f"left staged: {staged}"] if staged else []
    if [row["publication_id"] for row in live] != [pointer["publication_id"]]:
        found.append(f"{live} have the status live, and the pointer is at {pointer}")
    if [move["fence"] for move in moves] != list(range(1, pointer["fence"] + 1)):
        found.append(f"moves {moves} to the fence {pointer['fence']}")
    came = [None, *(move["publication_id"] for move in moves)]
    if came[:-1] != [move["from_publication_id"] for move in moves] or came[-1] != pointer["publication_id"]:
        found.append(f"moves that don't follow each other: {moves}")
    return found


def left_files(settings: Settings) -> list[str]:
    """Return the drafts and temporary files below home."""
    home = settings.resolved_home
    hidden = (path for path in home.rglob(".*") if path.name not in (".lock", ".draft.lock"))
    scratch = (home / "tmp").rglob("*") if (home / "tmp").is_dir() else ()
    return sorted(str(path.relative_to(home)) for path in (*hidden, *scratch))


def stored(warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    """Return all that is stored, as JSON knows it, to be compared with what an untouched run leaves."""
    home = settings.resolved_home
    tables = {
        name: sorted(str(list(row.values())) for row in warehouse.query(f"select {columns} from recsys.{name}"))
        for name, columns in _TABLES.items()
    }
    files = [path for place in ("live", "board", "snapshots") for path in (home / place).rglob("*")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in (home / "live").glob("*") if path.is_file()}
    texts.pop(".lock", None)
    names = sorted(str(path.relative_to(home)) for path in files if not path.name.endswith(".lock"))
    return {**tables, "files": names, "texts": texts}
