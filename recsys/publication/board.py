"""The board: what was published and decided, as a file for pages, which must not open the warehouse.

``RECSYS_HOME/board/placements.json`` has, for each placement, the champion, what waits for a decision, the newest
publications, decisions and canaries, and what a rollback would return to; and the rules that hide products. It is
written from the warehouse after everything that changes it, and replaced as a whole: a reader sees the old board or
the new one.
"""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from recsys import ledger
from recsys.artifacts import read_document, write_document
from recsys.assets import read_sql
from recsys.homes import Home
from recsys.publication.canary_records import list_canaries
from recsys.publication.records import ARCHIVE, PublicationRecord, list_publications, read_pointer, rollback_target
from recsys.settings import Settings
from recsys.warehouse import Warehouse

FOLDER: Final = "board"
BOARD: Final = "placements.json"
VERSION: Final = 1
"""Of the board's form."""
MOST_PUBLICATIONS: Final = 50
MOST_DECISIONS: Final = 200
MOST_CANARIES: Final = 10
MOST_RULES: Final = 100

Document = dict[str, Any]


def write_board(warehouse: Warehouse, settings: Settings) -> Path:
    """Write the board anew from what the warehouse says now.

    Args:
        warehouse: an open, migrated warehouse.
        settings: where home is, and the placements there are.

    Returns:
        The file.
    """
    path = board_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The lock is taken before the warehouse is read: else a slow writer could replace a newer board.
    with FileLock(path.with_name(".lock")):
        for left in path.parent.glob(f".{BOARD}.*"):  # by a writer that was killed
            left.unlink()
        placements = {name: _placement(warehouse, settings, name) for name in settings.placements}
        return write_document(
            Home.of(settings), path, {"version": VERSION, "placements": placements, "hidden": _hidden(warehouse)}
        )


def read_board(settings: Settings) -> dict[str, Document]:
    """Return the board by placement; empty while nothing was decided or published, or another version wrote it.

    Each placement has ``champion`` (model_name, model_version, decided_at, decision_id; or None), ``standing`` (the
    versions that decisions left, model and version, the champion last), ``challenger`` (the version whose decision is
    awaited, or None), ``live`` and ``returns_to`` (ids of publications, or None), ``publications``, ``decisions`` and
    ``canaries``, the newest first, with the columns of the warehouse. Moments are naive UTC in ISO format.
    """
    return dict(_document(settings).get("placements", {}))


def read_hidden(settings: Settings) -> list[Document]:
    """Return the newest rules that hide products, with the columns of ``sql/publication/board_rules.sql``."""
    return list(_document(settings).get("hidden", []))


def board_path(settings: Settings) -> Path:
    """Return where the board is."""
    return settings.resolved_home / FOLDER / BOARD


def _document(settings: Settings) -> Document:
    document = read_document(Home.of(settings), board_path(settings)) or {}
    return document if document.get("version") == VERSION else {}


def _placement(warehouse: Warehouse, settings: Settings, placement: str) -> Document:
    history = ledger.list_decisions(warehouse, placement)
    records = list_publications(warehouse, placement)
    live = read_pointer(warehouse, placement).publication_id
    target = rollback_target(records, live)
    champion = ledger.champion(warehouse, placement)
    model = settings.model_name(placement)
    waiting = [one for one in ledger.list_aliases(warehouse, model) if one.alias == ledger.CHALLENGER]
    return {
        "champion": None if champion is None else _plain(asdict(champion)),
        "standing": [list(version) for version in ledger.champions(history)],
        "challenger": next((one.wanted_version for one in waiting), None),
        "live": live,
        "returns_to": target.publication_id if target else None,
        "publications": [
            _publication(one) for one in _newest(records, {live, target.publication_id if target else None})
        ],
        "decisions": [_plain(asdict(one)) for one in reversed(history[-MOST_DECISIONS:])],
        "canaries": [_plain(asdict(one)) for one in list_canaries(warehouse, placement)[:MOST_CANARIES]],
    }


def _hidden(warehouse: Warehouse) -> list[Document]:
    rows = warehouse.query(read_sql("publication", "board_rules.sql"), {"most": MOST_RULES})
    return [_plain(row) for row in rows]


def _newest(records: list[PublicationRecord], kept: set[str | None]) -> list[PublicationRecord]:
    """Return the newest publications that customers saw or may see, and in any case those that a rollback is about."""
    shown = [one for one in records if one.kind != ARCHIVE]
    return [one for place, one in enumerate(shown) if place < MOST_PUBLICATIONS or one.publication_id in kept]


def _publication(record: PublicationRecord) -> Document:
    told = _plain(asdict(record))
    audit = told.pop("audit")
    return {**told, "failures": audit.get("failures", [])}


def _plain(row: Document) -> Document:
    """Return a row with its moments as text."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
