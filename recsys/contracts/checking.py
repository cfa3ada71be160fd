"""The check of extracted tables: judged rows, and one report of all failures."""

from datetime import datetime
from pathlib import Path

import duckdb

from recsys.contracts.comparing import compare
from recsys.contracts.profiles import Base
from recsys.contracts.report import Report, gravest_first
from recsys.contracts.rows import judge_rows, row_failures
from recsys.contracts.rules import rules_of
from recsys.errors import ContractError
from recsys.settings import Settings


def check_tables(
    engine: duckdb.DuckDBPyConnection,
    settings: Settings,
    *,
    as_of: datetime,
    latest_allowed: datetime,
    now: datetime,
    base: Base | None = None,
    folder: Path | None = None,
) -> Report:
    """Judge the relations ``extracted_T`` by the contracts.

    It makes the relations ``valid_T``, ``rejected_T`` and ``checked_T`` of each table T, which depend on the rows and
    the settings alone: what is compared with the last good snapshot can stop, but changes no row.

    Args:
        engine: with the relations ``extracted_T``.
        settings: limits and severities.
        as_of: the moment of what was extracted.
        latest_allowed: events later than this lie in the future.
        now: naive UTC.
        base: the last good snapshot, if there is one.
        folder: an empty one for the checked events, which are many; they are held in memory if None.

    Returns:
        All that is wrong; whether it stops is for the caller to ask.

    Raises:
        SettingsError: if the settings name a rule that isn't there.
    """
    rules = rules_of(settings.contracts)
    judge_rows(engine, settings, rules, latest_allowed, folder)
    failures, rows, rejected = row_failures(engine, rules, settings.contracts.examples)
    [(newest,)] = engine.execute("select max(occurred_at) from valid_events").fetchall()
    if base is not None:
        age = None if newest is None else now - newest
        failures += compare(engine, settings.contracts, rules, base, as_of, age)
    return Report(
        as_of=as_of,
        taken_at=now,
        newest=newest,
        base=None if base is None else base.snapshot_id,
        rows=rows,
        rejected=rejected,
        failures=gravest_first(failures),
    )


def stop_if_broken(report: Report) -> None:
    """Stop where a rule says so.

    Raises:
        ContractError: with the whole report.
    """
    if report.is_stopped:
        raise ContractError(
            f"The data is stopped by its contracts; nothing was changed and no snapshot was made.\n{report.text}\n"
            "If it is right as it is, let the rule pass this once: RECSYS_CONTRACTS__SEVERITIES__<rule>=warn."
        )
