"""Rules about whole tables: what is there now against the last good snapshot."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.contracts.profiles import EARLIEST, Base, Profile, events_between, usual_price, valid_count
from recsys.contracts.report import Failure
from recsys.contracts.rows import bits_of
from recsys.contracts.rules import QUARANTINE, STOP, Rule
from recsys.settings import ContractSettings

_DAY: Final = timedelta(days=1)
_AMOUNTS: Final = (c.QUANTITY, c.PRICE, c.VALUE)
_MAY_BE_MISSING: Final = (c.USER_ID, c.QUANTITY, c.PRICE, c.VALUE, c.BASKET_ID, c.MARKET)
_FLAT: Final = 0.3  # standard deviation of a day's hours, in means, below which the hours tell nothing

Found = Iterator[tuple[str, str]]
"""Ids of rules that are broken, each with what was measured."""


@dataclass(frozen=True)
class Ground:
    """What is compared with what."""

    limits: ContractSettings
    base: Base
    fresh: Profile
    earlier: Profile
    days: int

    @property
    def pairs(self) -> tuple[tuple[str, Profile, Profile], ...]:
        """The new events beside the newest of the base, and the earlier ones beside all of the base."""
        return (
            ("new events", self.fresh, self.base.profile["recent"]),
            ("events of before", self.earlier, self.base.profile["whole"]),
        )

    def judged(self, now: Profile, then: Profile) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Give the event types of which both sides have enough rows."""
        for kind in now.keys() & then.keys():
            if min(now[kind]["rows"], then[kind]["rows"]) >= self.limits.min_rows:
                yield kind, now[kind], then[kind]


def compare(
    engine: duckdb.DuckDBPyConnection,
    limits: ContractSettings,
    rules: Sequence[Rule],
    base: Base,
    as_of: datetime,
    age: timedelta | None,
) -> list[Failure]:
    """Compare the judged rows with the last good snapshot.

    Args:
        engine: after :func:`recsys.contracts.rows.judge_rows`.
        limits: from where on a difference counts.
        rules: those that are on.
        base: the last good snapshot.
        as_of: the moment of what was judged.
        age: how old its newest event is; None if unknown.
    """
    # Whole days, so that the hours of a part of a day aren't taken for a shift.
    days = math.ceil((as_of - base.as_of) / _DAY)
    since = as_of - days * _DAY
    ground = Ground(
        limits,
        base,
        fresh=events_between(engine, since, as_of),
        earlier=events_between(engine, EARLIEST, base.as_of),
        days=days,
    )
    found = [
        *_volumes(engine, ground),
        *_rejected(engine, ground, rules, since, as_of),
        *_day_volume(ground),
        *_missing(ground),
        *_units(engine, ground),
        *_hours(ground),
        *_mix(ground),
        *_age(ground, age),
    ]
    by_id = {rule.id: rule for rule in rules}
    return [Failure(by_id[name], detail=detail) for name, detail in found if name in by_id]


def _volumes(engine: duckdb.DuckDBPyConnection, ground: Ground) -> Found:
    limits, base = ground.limits, ground.base
    for table in (c.USERS, c.ITEMS, c.ITEM_VERSIONS, c.PROMOTIONS, c.EVENTS):
        then = base.rows.get(table, 0)
        if then < limits.min_rows:
            continue
        is_events = table == c.EVENTS
        now = sum(part["rows"] for part in ground.earlier.values()) if is_events else valid_count(engine, table)
        if now < limits.min_kept_share * then:
            yield f"{table}_volume", f"{now:,} of {then:,} rows are left; at least {limits.min_kept_share:.0%} must be"


def _rejected(
    engine: duckdb.DuckDBPyConnection, ground: Ground, rules: Sequence[Rule], since: datetime, until: datetime
) -> Found:
    bits = bits_of(rules, c.EVENTS)
    mine = [rule for rule in rules if rule.id in bits]
    [(rows, rejected)] = engine.execute(
        read_sql("contracts", "fresh.sql"),
        {
            "since": since,
            "until": until,
            "crowd": sum(bits[rule.id] for rule in mine if rule.crowd),
            "rejecting": sum(bits[rule.id] for rule in mine if rule.severity in (QUARANTINE, STOP) and not rule.crowd),
        },
    ).fetchall()
    limit = ground.limits.max_rejected_share
    if rows >= ground.limits.min_rows and rejected > limit * rows:
        yield "events_rejected", f"{rejected:,} of {rows:,} rows; at most {limit:.0%} may be"


def _day_volume(ground: Ground) -> Found:
    limits, then = ground.limits, ground.base.profile["recent"]
    usual = sum(part["rows"] for part in then.values()) / ground.base.profile["recent_days"]
    if not ground.days or usual * ground.days < limits.min_rows:
        return
    ratio = sum(part["rows"] for part in ground.fresh.values()) / ground.days / usual
    if not 1 / limits.max_day_ratio <= ratio <= limits.max_day_ratio:
        yield "events_day_volume", f"{ratio:.2f} times the {usual:,.0f} events a day of before"


def _missing(ground: Ground) -> Found:
    limit = ground.limits.max_missing_growth
    for kind, now, then in ground.judged(ground.fresh, ground.base.profile["recent"]):
        for column in _MAY_BE_MISSING:
            share, before = (side[f"missing_{column}"] / side["rows"] for side in (now, then))
            if share - before > limit:
                yield (
                    "events_missing",
                    f"{column} of {kind} is missing in {share:.0%}, {before:.0%} before; {limit:.0%} more are allowed",
                )


def _units(engine: duckdb.DuckDBPyConnection, ground: Ground) -> Found:
    for words, now, then in ground.pairs:
        for kind, mine, former in ground.judged(now, then):
            for column in _AMOUNTS:
                detail = _moved(ground, mine[f"median_{column}"], former[f"median_{column}"])
                if detail:
                    yield "events_unit", f"{column} of {kind} among {words} is {detail}"
    if ground.base.rows[c.ITEMS] >= ground.limits.min_rows:
        detail = _moved(ground, usual_price(engine), ground.base.profile["item_price"])
        if detail:
            yield "items_price_unit", f"it is {detail}"


def _moved(ground: Ground, now: float | None, then: float | None) -> str:
    """Tell a median that moved too far; nothing if it didn't, or a side has none."""
    limit = ground.limits.max_median_ratio
    if not now or not then or 1 / limit < now / then < limit:
        return ""
    return f"{now:,.4g} as a median, {then:,.4g} before: {now / then:.3g} times"


def _hours(ground: Ground) -> Found:
    for words, now, then in ground.pairs:
        mine, former = (_day(profile, ground.limits.min_rows) for profile in (now, then))
        if mine is None or former is None or former.std() < _FLAT * former.mean() or mine.std() == 0:
            continue
        match = [float(np.corrcoef(np.roll(mine, -shift), former)[0, 1]) for shift in range(24)]
        best = max(range(24), key=lambda shift: match[shift])
        is_alike = match[best] >= ground.limits.min_hour_match
        if best and is_alike and match[best] - match[0] > ground.limits.min_hour_gain:
            shift = best if best <= 12 else best - 24
            yield (
                "events_hours",
                f"{words} look shifted by {shift:+d} hours (correlation {match[best]:.2f} with them moved back, "
                f"{match[0]:.2f} as they are)",
            )


def _day(profile: Profile, least: int) -> NDArray[np.float64] | None:
    """Return (24,) events of each hour; None if they are too few."""
    if sum(part["rows"] for part in profile.values()) < least:
        return None
    hours: NDArray[np.float64] = np.array([part["hours"] for part in profile.values()], np.float64).sum(axis=0)
    return hours


def _mix(ground: Ground) -> Found:
    then = ground.base.profile["recent"]
    sums = [sum(part["rows"] for part in profile.values()) for profile in (ground.fresh, then)]
    if min(sums) < ground.limits.min_rows:
        return
    for kind in sorted(ground.fresh.keys() | then.keys()):
        now, before = (
            profile.get(kind, {"rows": 0})["rows"] / total
            for profile, total in zip((ground.fresh, then), sums, strict=True)
        )
        if abs(now - before) > ground.limits.max_mix_change:
            yield "events_mix", f"{kind} is {now:.0%} of the new events, {before:.0%} before"


def _age(ground: Ground, age: timedelta | None) -> Found:
    limit = ground.limits.max_delay_hours
    if limit is None or age is None or ground.base.age is None:
        return
    late = (age - ground.base.age) / timedelta(hours=1)
    if late > limit:
        yield "events_age", f"by {late:,.0f} hours than at {ground.base.snapshot_id}; {limit:g} are allowed"
