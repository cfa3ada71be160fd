"""Suppression: rules that take what they match out of all live lists, from the moment they hold.

A rule stands in ``shop.suppressions``, which the views look up when they are read: nothing is published anew, and
a rollback doesn't undo it. Who began and who ended a rule is kept in ``recsys.suppression_changes``.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from recsys.artifacts import fingerprint
from recsys.assets import read_sql
from recsys.columns import BRAND, CATEGORY, ITEM_ID
from recsys.errors import ConflictError, NotFoundError, SettingsError
from recsys.publication.live_files import export_live
from recsys.publication.statements import run
from recsys.settings import Settings
from recsys.warehouse import Warehouse

PATH_SEPARATOR: Final = " > "
EXAMPLES: Final = 3
_WORDS: Final = {ITEM_ID: "item", BRAND: "brand", CATEGORY: "category"}


@dataclass(frozen=True)
class Rule:
    """What is not to be shown: products that match all of item, brand and category that are given.

    Attributes:
        starts_at: naive UTC.
        item_id: one product.
        brand: all products of a brand.
        category: all products of a category and of those below it: a path, or its beginning.
        placement: where; None: everywhere.
        ends_at: naive UTC, exclusive; None: until the rule is ended.
    """

    starts_at: datetime
    item_id: str | None = None
    brand: str | None = None
    category: str | None = None
    placement: str | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True)
class Suppression:
    """A rule as the warehouse holds it, with who is answerable for it.

    ``ended_by`` and ``end_reason`` are None for a rule that nobody ended. ``item_count`` is how many of the shop's
    products match today.
    """

    suppression_id: str
    item_id: str | None
    brand: str | None
    category: str | None
    placement: str | None
    starts_at: datetime
    ends_at: datetime | None
    created_by: str
    reason: str
    ended_by: str | None
    end_reason: str | None
    item_count: int

    def holds(self, now: datetime) -> bool:
        """Whether the rule holds at a moment, naive UTC."""
        return self.starts_at <= now and (self.ends_at is None or self.ends_at > now)

    @property
    def what(self) -> str:
        """What the rule matches, for a person."""
        parts = ((name, getattr(self, column)) for column, name in _WORDS.items())
        return ", ".join(f"{name} {value}" for name, value in parts if value is not None)


def suppress(
    warehouse: Warehouse, settings: Settings, rule: Rule, *, by: str, reason: str, now: datetime
) -> Suppression:
    """Take what a rule matches out of all live lists; the files of :func:`export_live` follow.

    The same rule by the same person, from the same moment on, is not added twice.

    Args:
        warehouse: an open, migrated warehouse.
        settings: the placements there are.
        rule: what, where and when.
        by: who wants it.
        reason: why, for whoever reads the rules later.
        now: naive UTC.

    Raises:
        SettingsError: if the rule names nothing, ends before it starts or before now, there is no such
            placement, or who or why is missing.
        NotFoundError: if the shop has no such item, brand or category, or nothing matches them together.
        ConflictError: if the same rule was added at the same moment.
    """
    _check(settings, rule, by=by, reason=reason, now=now)
    named = {"suppression_id": f"s{fingerprint(asdict(rule), by, reason)[:8]}", "changed_by": by, "reason": reason}
    with warehouse.transaction() as connection:
        if not _read(warehouse, named["suppression_id"], connection):
            _require_matches(warehouse, rule, connection)
            try:
                run(connection, "add_suppression_change", **named, change="added", now=now)
            except IntegrityError as error:
                raise ConflictError(
                    "The same rule was added at this moment; look at it: recsys suppressions"
                ) from error
            run(connection, "add_suppression", **named, **asdict(rule))
    export_live(warehouse, settings)
    return find_suppression(warehouse, named["suppression_id"])


def unsuppress(
    warehouse: Warehouse, settings: Settings, suppression_id: str, *, by: str, reason: str, now: datetime
) -> Suppression:
    """End a rule: what it took out is shown again. Its record stays; the same words again change nothing.

    Args:
        warehouse: an open, migrated warehouse.
        settings: where the live files are.
        suppression_id: which rule.
        by: who ends it.
        reason: why.
        now: naive UTC.

    Raises:
        SettingsError: if who or why is missing.
        NotFoundError: if there is no such rule.
        ConflictError: if it has ended already.
    """
    require_who_and_why(by, reason)
    rule = find_suppression(warehouse, suppression_id)
    if (rule.ended_by, rule.end_reason) != (by, reason):
        with warehouse.transaction() as connection:
            if run(connection, "end_suppression", suppression_id=suppression_id, now=now) != 1:
                whose = f", by {rule.ended_by} ({rule.end_reason})" if rule.ended_by else ""
                raise ConflictError(
                    f"The rule {suppression_id} ({rule.what}) has ended already, at {rule.ends_at:%Y-%m-%d %H:%M} "
                    f"UTC{whose}."
                )
            named = {"suppression_id": suppression_id, "changed_by": by, "reason": reason}
            run(connection, "add_suppression_change", **named, change="ended", now=now)
    export_live(warehouse, settings)
    return find_suppression(warehouse, suppression_id)


def list_suppressions(warehouse: Warehouse) -> list[Suppression]:
    """Return all rules that there are or were, the newest first."""
    return _read(warehouse, None, None)


def find_suppression(warehouse: Warehouse, suppression_id: str) -> Suppression:
    """Return one rule.

    Raises:
        NotFoundError: if there is none.
    """
    found = _read(warehouse, suppression_id, None)
    if not found:
        raise NotFoundError(f"There is no rule {suppression_id!r}; recsys suppressions lists them.")
    return found[0]


def require_who_and_why(by: str, reason: str) -> None:
    """Refuse a change that nobody is answerable for.

    Raises:
        SettingsError: if the name or the reason is empty.
    """
    if not by.strip():
        raise SettingsError("What changes for customers needs the name of who changed it; it is empty.")
    if not reason.strip():
        raise SettingsError("What changes for customers needs a reason, for whoever looks later; it is empty.")


def _check(settings: Settings, rule: Rule, *, by: str, reason: str, now: datetime) -> None:
    require_who_and_why(by, reason)
    if rule.placement is not None:
        settings.placement(rule.placement)
    if not any((rule.item_id, rule.brand, rule.category)):
        raise SettingsError("A rule needs an item, a brand or a category; it names none, so it would match nothing.")
    if rule.ends_at is not None and rule.ends_at <= max(rule.starts_at, now):
        raise SettingsError(
            f"The rule would end at {rule.ends_at:%Y-%m-%d %H:%M} UTC, which is not after its start and after now: it "
            "would hide nothing. Give a later end, or none."
        )


def _require_matches(warehouse: Warehouse, rule: Rule, connection: Connection) -> None:
    """Refuse what the shop doesn't have: a rule with a misspelt name would hide nothing, and nobody would see it."""
    given = {ITEM_ID: rule.item_id, BRAND: rule.brand, CATEGORY: rule.category}
    for column, value in given.items():
        if value is not None and not _count(warehouse, connection, {column: value}):
            near = _near(warehouse, connection, column, value)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise NotFoundError(f"The shop has no {_WORDS[column]} {value!r}.{hint}")
    if not _count(warehouse, connection, given):
        both = " and ".join(f"{_WORDS[column]} {value!r}" for column, value in given.items() if value is not None)
        raise NotFoundError(f"No product of the shop has {both}; a rule takes only what matches all that it names.")


def _count(warehouse: Warehouse, connection: Connection, given: dict[str, str | None]) -> int:
    params = {name: given.get(name) for name in _WORDS}
    rows = warehouse.query(read_sql("publication", "matching_items.sql"), params, connection=connection)
    return int(rows[0]["item_count"])


def _near(warehouse: Warehouse, connection: Connection, column: str, value: str) -> list[str]:
    rows = warehouse.query(read_sql("publication", "item_names.sql"), connection=connection)
    known = {row[column] for row in rows if row[column] is not None}
    if column == CATEGORY:
        known = {path for whole in known for path in _paths(whole)}
    by_lower = {name.lower(): name for name in sorted(known)}
    return [by_lower[name] for name in get_close_matches(value.lower(), by_lower, EXAMPLES)]


def _paths(category: str) -> Collection[str]:
    """Return a category and those above it."""
    parts = category.split(PATH_SEPARATOR)
    return [PATH_SEPARATOR.join(parts[: n + 1]) for n in range(len(parts))]


def _read(warehouse: Warehouse, suppression_id: str | None, connection: Connection | None) -> list[Suppression]:
    query = read_sql("publication", "suppressions.sql")
    rows = warehouse.query(query, {"suppression_id": suppression_id}, connection=connection)
    return [Suppression(**row) for row in rows]
