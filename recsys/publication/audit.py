"""The audit of a staged publication: what was stored is read back and checked before anybody sees it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from recsys.assets import read_sql
from recsys.errors import AuditError, ConflictError
from recsys.pseudonyms import Pseudonyms, is_customer
from recsys.publication.bases import covered, refused_items
from recsys.publication.documents import to_json
from recsys.publication.parts import Stored, copy_rows, drop_unused, remove_lists
from recsys.publication.records import NewPublication
from recsys.publication.statements import lock_storage, run
from recsys.publication.totals import Totals, totals
from recsys.settings import Settings
from recsys.warehouse import Warehouse

_FAILURES = {
    "ranks": "lists have ranks that are not 1, 2, 3 and so on, once each",
    "repeats": "lists name an item twice",
    "unknown_items": "items are not known to the run",
    "barred_items": "items may not be recommended",
    "incomplete": "rows lack an item, a finite score, a source or a reason",
    "propensities": "rows have a propensity that is no probability above 0",
    "buckets": "subjects are in a wrong bucket or in several (customers: 0 to 4095, default lists: -1)",
}
_SHORT = "short"
_NO_DEFAULT = "no_default"
_OF_ITEMS = ("unknown_items", "barred_items")  # whose examples are no customers


@dataclass(frozen=True)
class Audit:
    """What an audit found; ``failures`` are sentences, empty when the publication may go live.

    ``stored`` is what counts in the publication, its base included; short lists are counted among its own.
    """

    stored: Totals
    coverage: float
    short_lists: int
    short_examples: str
    failures: list[str] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        """The audit as it is kept with the publication."""
        return {
            "rows": self.stored.row_count,
            "customers": self.stored.user_count,
            "coverage": round(self.coverage, 6),
            "short_lists": self.short_lists,
            "short_examples": self.short_examples,
            "failures": self.failures,
        }


def audit(
    warehouse: Warehouse,
    settings: Settings,
    bench: duckdb.DuckDBPyConnection,
    publication: NewPublication,
    counted: Totals,
    *,
    path: Path,
    stored: Stored,
) -> Audit:
    """Read the stored rows back and check them.

    Args:
        warehouse: where they are.
        settings: the share of customers that must be covered, and the items that are shown.
        bench: an engine with ``known_items``.
        publication: what was to be stored.
        counted: the totals of its files.
        path: where what was read back is written, as a live file: Parquet.
        stored: where they are, as far as that is known.

    Returns:
        All findings; nothing is raised for them.
    """
    _read_back(warehouse, bench, publication, stored, path)
    found = totals(bench, "list_facts")
    query = read_sql("publication", "audit.sql")
    rows = bench.execute(query, {"items": settings.publication.items}).fetchall()
    name = Pseudonyms.of(settings).name
    broken = {rule: (int(count), _named(rule, examples or [], name)) for rule, count, examples in rows}
    failures = [*_against_files(found, counted), *_against_rules(broken, is_whole=publication.base is None)]
    if publication.base is not None:
        found, missing = covered(warehouse, publication)
        refused = refused_items(warehouse, settings, bench, publication, path.with_name("base.parquet"))
        failures += [*missing, *refused]
    coverage = found.user_count / publication.expected_customers if publication.expected_customers else 1.0
    failures += _against_expectation(settings, found, publication.expected_customers, coverage)
    short, examples = broken[_SHORT]
    return Audit(found, coverage, short, examples, failures)


def reject(warehouse: Warehouse, publication: NewPublication, found: Audit, *, attempt: str, now: datetime) -> None:
    """Mark a staged publication as failed and remove its rows, in one transaction.

    Raises:
        ConflictError: if another attempt has taken the publication over.
    """
    with warehouse.transaction() as connection:
        lock_storage(connection, publication.placement)
        changed = run(
            connection,
            "fail_publication",
            publication_id=publication.publication_id,
            attempt=attempt,
            now=now,
            audit=to_json(found.document),
        )
        if changed != 1:
            raise ConflictError(
                f"The publication {publication.publication_id} failed its audit, but another attempt has "
                f"taken it over meanwhile. {failure_text(publication, found)}"
            )
        gone = {publication.publication_id: publication.base}
        remove_lists(warehouse, connection, publication.placement, gone)
    drop_unused(warehouse, publication.placement)


def failure_text(publication: NewPublication, found: Audit) -> str:
    """Return the message of a failed audit: every failure, with its count and examples."""
    lines = "\n".join(f"  - {failure}" for failure in found.failures)
    return (
        f"The publication {publication.publication_id} for {publication.placement} failed its audit and "
        f"stays out of sight; what was live stays live.\n{lines}\n"
        "Correct what makes the lists, then publish again."
    )


def failed(publication: NewPublication, found: Audit) -> AuditError:
    """Return the error to raise for a failed audit."""
    return AuditError(failure_text(publication, found))


def _read_back(
    warehouse: Warehouse, bench: duckdb.DuckDBPyConnection, publication: NewPublication, stored: Stored, path: Path
) -> None:
    copy_rows(warehouse, bench, publication, stored, path)
    bench.read_parquet(str(path)).create_view("stored_rows", replace=True)
    bench.execute("create or replace temp table list_facts as " + read_sql("publication", "list_facts.sql"))


def _named(rule: str, examples: list[str], name: Callable[[str], str]) -> str:
    """Return examples as a log may show them: customers by their pseudonyms."""
    if rule not in _OF_ITEMS:
        examples = [name(subject) if is_customer(subject) else subject for subject in examples]
    return ", ".join(examples)


def _against_files(stored: Totals, counted: Totals) -> list[str]:
    if stored.row_count != counted.row_count:
        return [f"{stored.row_count} rows are stored, but the files have {counted.row_count}"]
    if stored.checksum != counted.checksum:
        return [f"the {stored.row_count} stored rows are not those of the files: the checksums differ"]
    return []


def _against_rules(broken: dict[str, tuple[int, str]], *, is_whole: bool) -> list[str]:
    found = []
    for rule, sentence in _FAILURES.items():
        count, examples = broken[rule]
        if count:
            found.append(f"{count} {sentence}, for example {examples}")
    if is_whole and broken[_NO_DEFAULT][0]:
        found.append("there is no default list (subject *) for visitors and unknown customers")
    return found


def _against_expectation(settings: Settings, stored: Totals, expected: int, coverage: float) -> list[str]:
    needed = settings.publication.min_coverage
    if coverage >= needed:
        return []
    return [
        f"{stored.user_count} of {expected} expected customers have a list, a share of {coverage:.3f}; "
        f"at least {needed:.3f} is asked for (RECSYS_PUBLICATION__MIN_COVERAGE)"
    ]
