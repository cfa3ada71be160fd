"""A CSV file of rules, checked as a whole: one error tells everything that is wrong in it.

Its columns are those of ``shop.item_rules``; ``rule_id`` and ``kind`` must be there. An empty cell is an absent value.
Times are naive UTC, or have an offset and are turned into UTC.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

from recsys import columns as c
from recsys.errors import SourceError
from recsys.knowledge.contradictions import LEFT, RIGHT, Row, contradictions
from recsys.knowledge.rules import BOOST, KINDS

Problem = tuple[str, str]  # the column, and what is wrong with it
COLUMNS: Final = (
    c.RULE_ID,
    c.KIND,
    *LEFT,
    *RIGHT,
    c.WEIGHT,
    c.PLACEMENT,
    c.STARTS_AT,
    c.ENDS_AT,
    c.SEASON_FROM,
    c.SEASON_TO,
    c.CREATED_BY,
    c.REASON,
    c.KNOWN_AT,
)
REQUIRED: Final = (c.RULE_ID, c.KIND)
LEAP_YEAR: Final = 2024


@dataclass(frozen=True)
class Known:
    """What rules may name.

    Attributes:
        items: ids of products.
        brands: of products.
        categories: paths of products, and all above them.
        placements: of the settings.
        rules: those that stay beside the file's.
    """

    items: frozenset[str]
    brands: frozenset[str]
    categories: frozenset[str]
    placements: tuple[str, ...]
    rules: tuple[Row, ...]

    def allowed(self, column: str) -> frozenset[str]:
        """Return the values that a column of a side may have."""
        kinds = (self.items, self.brands, self.categories)
        return dict(zip((*LEFT, *RIGHT), (*kinds, *kinds), strict=True))[column]


def read_rows(path: Path, known: Known, defaults: Mapping[str, Any]) -> list[Row]:
    """Return a file's rules as rows of ``shop.item_rules``.

    Args:
        path: the file.
        known: what rules may name.
        defaults: values of columns that a row leaves empty.

    Raises:
        SourceError: naming line and column of everything that can't be used.
    """
    rows: list[Row] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    there = {rule[c.RULE_ID] for rule in known.rules}
    header, lines = _lines(path)
    for line, cells in lines:
        if len(cells) != len(header):
            problems.append(f"  line {line}: {len(cells)} cells, not {len(header)}; put text with a comma in quotes.")
            continue
        given = dict(zip(header, cells, strict=True))
        row, found = _read(given)
        found += [*(_wrong_sides(row, known) if row[c.KIND] in KINDS else ()), *_wrong_times(row, given)]
        if row[c.PLACEMENT] not in (None, *known.placements):
            found.append((c.PLACEMENT, f"there is no {row[c.PLACEMENT]!r}; there are {', '.join(known.placements)}"))
        name = row[c.RULE_ID]
        if name in there:
            found.append((c.RULE_ID, f"{name!r} is in the warehouse already: choose another, or load without --append"))
        elif name in seen:
            found.append((c.RULE_ID, f"{name!r} stands in line {seen[name]} already"))
        if name is not None:
            seen.setdefault(name, line)
        problems += [f"  line {line}, {column}: {what}." for column, what in found]
        rows.append({column: defaults.get(column) if value is None else value for column, value in row.items()})
    problems += () if problems else _contradicting(rows, known)
    if problems:
        raise SourceError("\n".join([f"{path} can't be loaded, and nothing was changed:", *problems]))
    return rows


def _contradicting(rows: list[Row], known: Known) -> Iterator[str]:
    """Yield which rules would hide each other's products."""
    together = [*known.rules, *rows]
    for place, other in contradictions(together):
        names = [together[one][c.RULE_ID] for one in (other, place)]
        where = " of the warehouse" if other < len(known.rules) else ""
        yield (
            f"  rule {names[1]!r} and rule {names[0]!r}{where} replace each other's products at the same time, which "
            "would hide both: keep one of them, or give them periods or placements of their own."
        )


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header's columns, and the cells of the file's other lines by number, empty lines left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise SourceError(f"{path} can't be read as a CSV file in UTF-8: {error}.") from error
    _check_header(path, header)
    return header, [(line, cells) for line, cells in lines if any(cells)]


def _check_header(path: Path, header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in header]
    twice = sorted({name for name in header if header.count(name) > 1})
    kinds = {"lacks": missing, "has unknown": unknown, "repeats": twice}
    wrong = [f"{what} {', '.join(map(repr, names))}" for what, names in kinds.items() if names]
    if wrong:
        raise SourceError(f"The header of {path} {', '.join(wrong)}. The columns are: {', '.join(COLUMNS)}.")


def _read(cells: Mapping[str, str]) -> tuple[Row, list[Problem]]:
    """Return the values of a line, and what is wrong with single ones."""
    row: Row = {name: cells.get(name) or None for name in COLUMNS}
    found: list[Problem] = []
    if row[c.RULE_ID] is None:
        found.append((c.RULE_ID, "it is empty; give the rule a name of its own"))
    if row[c.KIND] not in KINDS:
        found.append((c.KIND, f"{row[c.KIND] or ''!r} is none of {', '.join(KINDS)}"))
    for column, parse in _PARSERS.items():
        if row[column] is None:
            continue
        try:
            row[column] = parse(row[column])
        except ValueError as error:
            found.append((column, f"{row[column]!r} {error}"))
            row[column] = None
    if row[c.WEIGHT] is None:
        row[c.WEIGHT] = 1.0
    return row, found


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError as error:
        raise ValueError("is not a number; write for example 1.5") from error
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError("is not above zero and finite; write for example 1.5, and leave out what shall not count")
    return weight


def _moment(text: str) -> datetime:
    try:
        if len(text) == len("2025-12-01"):
            return datetime.combine(date.fromisoformat(text), time())
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("is neither a date such as 2025-12-01 nor a time such as 2025-12-01T06:00 (UTC)") from error
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _day(text: str) -> str:
    try:
        day = datetime.strptime(f"{LEAP_YEAR}-{text}", "%Y-%m-%d")
    except ValueError as error:
        raise ValueError("is no day of a year; write MM-DD, for example 12-24") from error
    return f"{day:%m-%d}"


_PARSERS: Final = {
    c.WEIGHT: _weight,
    c.STARTS_AT: _moment,
    c.ENDS_AT: _moment,
    c.KNOWN_AT: _moment,
    c.SEASON_FROM: _day,
    c.SEASON_TO: _day,
}


def _wrong_sides(row: Row, known: Known) -> Iterator[Problem]:
    """Yield what is wrong with the products that a rule is about."""
    for side in (LEFT, RIGHT):
        given = [name for name in side if row[name] is not None]
        wanted = 0 if side == RIGHT and row[c.KIND] == BOOST else 1
        if len(given) != wanted:
            told = " and ".join(given) or "none"
            rule = f"exactly one of {', '.join(side)}" if wanted else f"none of {', '.join(side)}"
            yield side[0], f"a rule of the kind {row[c.KIND]!r} has {rule}, this one has {told}"
        for name in given:
            if row[name] not in known.allowed(name):
                what = name.removeprefix("other_").replace("_id", "")
                yield name, f"the shop has no {what} {row[name]!r}"
    if row[c.ITEM_ID] is not None and row[c.ITEM_ID] == row[c.OTHER_ITEM_ID]:
        yield c.OTHER_ITEM_ID, f"it is the same product as {c.ITEM_ID}"


def _wrong_times(row: Row, cells: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what is wrong with when a rule holds; ``cells`` are as they stand in the file."""
    starts, ends = row[c.STARTS_AT], row[c.ENDS_AT]
    if starts is not None and ends is not None and ends <= starts:
        yield c.ENDS_AT, f"{ends} is not after {c.STARTS_AT} {starts}"
    absent = [name for name in (c.SEASON_FROM, c.SEASON_TO) if not cells.get(name)]
    if len(absent) == 1:
        yield absent[0], "a season has both a first and a last day, as MM-DD"
