"""What became of each registered version, from its sheet and the board."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from recsys import ledger
from recsys.evaluation.gate import PASSED
from recsys.evaluation.sheets import Sheet

Board = Mapping[str, Mapping[str, Any]]
Row = Mapping[str, Any]

SERVES: Final = "champion"
WAITS: Final = "waits for a decision"
FAILED: Final = "failed the gate"
FORMER: Final = "served before"
TAKEN: Final = "rolled back"
REJECTED: Final = "rejected"
APPROVED: Final = "approved before"
TONES: Final = {SERVES: "good", WAITS: "open", FAILED: "bad", REJECTED: "bad", TAKEN: "bad"}


def placement_of(board: Board, name: str) -> Mapping[str, Any]:
    """Return a placement's part of the board; an empty one if nothing was decided there yet."""
    empty: dict[str, Any] = {"champion": None, "standing": [], "challenger": None, "live": None, "returns_to": None}
    return board.get(name) or {**empty, "publications": [], "decisions": [], "canaries": []}


def decisions_about(placement: Mapping[str, Any], model: str, version: str) -> list[Row]:
    """Return the decisions about a version, the newest first."""
    return [one for one in placement["decisions"] if (one["model_name"], one["model_version"]) == (model, version)]


def status_of(sheet: Sheet, placement: Mapping[str, Any]) -> str:
    """Say in a few words where a version stands."""
    named, standing = [sheet.model, sheet.version], placement["standing"]
    if standing and standing[-1] == named:
        return SERVES
    if named in standing:
        return FORMER
    about = decisions_about(placement, sheet.model, sheet.version)
    if any(one["verdict"] == ledger.ROLLED_BACK for one in about[:1]):
        return TAKEN
    # That the gate took an alias back is no decision of a person's.
    if any(one["verdict"] == ledger.REJECTED and one["channel"] != ledger.POLICY for one in about[:1]):
        return REJECTED
    if any(one["verdict"] == ledger.APPROVED for one in about):
        return APPROVED
    return WAITS if sheet.verdict["gate"] == PASSED else FAILED


def listed(sheets: Sequence[Sheet], board: Board, name: str) -> list[dict[str, Any]]:
    """Return the versions of a placement with where they stand, the newest first."""
    placement = placement_of(board, name)
    rows = []
    for sheet in sheets:
        if sheet.placement == name:
            status = status_of(sheet, placement)
            rows.append({"sheet": sheet, "status": status, "tone": TONES.get(status, "")})
    return rows
