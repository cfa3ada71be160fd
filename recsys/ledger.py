"""The ledger: who decided what about which model version, and which aliases MLflow should have.

Decisions are only ever added. The champion of a placement follows from them, read in their order: an
approval puts a version on top, a rollback goes back to the version it names. The aliases in MLflow are a
projection: what each should be is written here in the same transaction as the decision, and so is, later,
what was last written there, so that a late write can be told from a person's change.

A version may also be allowed for a share of the customers (``canary``). That makes no champion; a rejection or a
rollback ends it, in the same transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from recsys import canaries
from recsys.assets import read_sql
from recsys.errors import ConflictError, NotFoundError, SettingsError
from recsys.warehouse import Warehouse

APPROVED: Final = "approved"
REJECTED: Final = "rejected"
ROLLED_BACK: Final = "rolled_back"
CANARY: Final = "canary"
VERDICTS: Final = (APPROVED, REJECTED, ROLLED_BACK, CANARY)
POLICY: Final = "policy"
CHANNELS: Final = (POLICY, "airflow", "mlflow", "cli")

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
PREVIOUS: Final = "previous"
ALIASES: Final = (CHAMPION, CHALLENGER, PREVIOUS)

Version = tuple[str, str]  # registered model, version


@dataclass(frozen=True)
class Champion:
    """The model version that a placement is to be served by, and the decision that approved it."""

    placement: str
    model_name: str
    model_version: str
    decided_at: datetime
    decision_id: str


@dataclass(frozen=True)
class Decision:
    """One row of the ledger; the restored version is that of a rollback, else None."""

    decision_number: int
    decision_id: str
    placement: str
    model_name: str
    model_version: str
    verdict: str
    decided_by: str
    decided_at: datetime
    channel: str
    reason: str
    restored_model_name: str | None = None
    restored_model_version: str | None = None


@dataclass(frozen=True)
class Alias:
    """What one alias of a registered model should be (None: absent), and what was last written to MLflow."""

    model_name: str
    alias: str
    wanted_version: str | None
    written_version: str | None
    written_at: datetime | None = None

    @property
    def is_written(self) -> bool:
        """Whether the last write was the wanted one."""
        return self.wanted_version == self.written_version


@dataclass(frozen=True)
class Ruling:
    """What a decision says, before it has a place in the ledger."""

    placement: str
    version: Version
    verdict: str
    decided_by: str
    channel: str
    reason: str
    restored: Version | None = None


def record_decision(
    warehouse: Warehouse,
    *,
    placement: str,
    model_name: str,
    model_version: str,
    verdict: str,
    decided_by: str,
    channel: str,
    reason: str,
    now: datetime,
    guard: Callable[[list[Decision]], None] | None = None,
) -> str:
    """Add a decision to the ledger, and what the aliases should be after it, in one transaction.

    The same decision by the same person, which would change nothing, is not added twice: a stage that is
    repeated leaves no debris. ``rolled_back`` undoes the version and restores the champion before it;
    :func:`recsys.publication.rollback` also moves what is live.

    Args:
        warehouse: an open, migrated warehouse.
        placement: the placement that the decision is about.
        model_name: the registered model.
        model_version: its version.
        verdict: approved, rejected or rolled_back.
        decided_by: a person, or the name of the policy.
        channel: policy, airflow, mlflow or cli.
        reason: a sentence for whoever reads the ledger later.
        now: naive UTC.
        guard: is given the placement's decisions as they are in the transaction; what it raises stops this one.

    Returns:
        The id of the decision.

    Raises:
        SettingsError: for a verdict or channel that doesn't exist, or when nobody is named.
        ConflictError: if another decision was added at the same moment.
    """
    ruling = Ruling(placement, (model_name, str(model_version)), verdict, decided_by, channel, reason)
    _check(ruling)
    if verdict == CANARY:
        raise SettingsError(
            "A canary is begun with its lists, by start_canary; the ledger alone would show nobody any."
        )
    with warehouse.transaction() as connection:
        number = next_number(connection)
        history = list_decisions(warehouse, placement, connection=connection)
        repeated = _same_ruling(history, ruling)
        if repeated is not None:
            return repeated.decision_id
        if guard is not None:
            guard(history)
        if verdict == ROLLED_BACK:
            ruling = Ruling(**{**vars(ruling), "restored": _before(history, ruling.version)})
        return add_decision(warehouse, connection, ruling, now=now, number=number)


def next_number(connection: Connection) -> int:
    """Return the number that a decision would have now.

    Whoever decides by what is stored takes it before reading that: a decision that is made meanwhile has the number
    then, and :func:`add_decision` refuses this one, which was made by what is true no more.
    """
    return 1 + int(connection.execute(text(read_sql("publication", "last_decision.sql"))).scalar_one())


def add_decision(warehouse: Warehouse, connection: Connection, ruling: Ruling, *, now: datetime, number: int) -> str:
    """Add a decision and the aliases that follow from it, in the caller's transaction.

    Args:
        warehouse: an open, migrated warehouse.
        connection: the transaction.
        ruling: what is decided.
        now: naive UTC.
        number: its place in the ledger, by :func:`next_number` before the caller read what it decides by.

    Returns:
        The id of the decision.

    Raises:
        SettingsError: for a verdict or channel that doesn't exist, or when nobody is named.
        ConflictError: if another decision was added at the same moment.
    """
    _check(ruling)
    decision_id = f"{ruling.placement}-{number:06d}"
    restored_name, restored_version = ruling.restored or (None, None)
    row = {
        "decision_number": number,
        "decision_id": decision_id,
        "placement": ruling.placement,
        "model_name": ruling.version[0],
        "model_version": ruling.version[1],
        "verdict": ruling.verdict,
        "decided_by": ruling.decided_by,
        "decided_at": now,
        "channel": ruling.channel,
        "reason": ruling.reason,
        "restored_model_name": restored_name,
        "restored_model_version": restored_version,
    }
    try:
        connection.execute(text(read_sql("publication", "add_decision.sql")), row)
    except IntegrityError as error:
        raise ConflictError(
            f"Another decision was recorded while {ruling.verdict!r} for {ruling.placement} was being "
            "written. Look at it (recsys status), then decide again."
        ) from error
    if ruling.verdict in (REJECTED, ROLLED_BACK):
        # A rollback says that something is wrong on the placement, so a trial there ends as well, of any version.
        is_rollback = ruling.verdict == ROLLED_BACK
        canaries.end_canary(
            connection,
            ruling.placement,
            None if is_rollback else ruling.version,
            move=ROLLED_BACK if is_rollback else canaries.WITHDRAWN,
            decision_id=decision_id,
            now=now,
        )
    if ruling.verdict != CANARY:
        _project(warehouse, connection, ruling, now=now)
    return decision_id


def list_decisions(
    warehouse: Warehouse, placement: str | None = None, *, connection: Connection | None = None
) -> list[Decision]:
    """Return the decisions in their order, of one placement or of all."""
    rows = warehouse.query(read_sql("publication", "decisions.sql"), {"placement": placement}, connection=connection)
    return [Decision(**row) for row in rows]


def champion(warehouse: Warehouse, placement: str, *, connection: Connection | None = None) -> Champion | None:
    """Return the version that a placement is to be served by; None while nothing is approved.

    Args:
        warehouse: an open, migrated warehouse.
        placement: the placement.
        connection: a transaction to read in.
    """
    history = list_decisions(warehouse, placement, connection=connection)
    standing = champions(history)
    return _as_champion(history, standing[-1]) if standing else None


def champion_at(warehouse: Warehouse, placement: str, moment: datetime) -> Champion | None:
    """Return the champion that the ledger had at a moment, naive UTC; None if nothing was approved then."""
    history = [entry for entry in list_decisions(warehouse, placement) if entry.decided_at <= moment]
    standing = champions(history)
    return _as_champion(history, standing[-1]) if standing else None


def previous_champion(warehouse: Warehouse, placement: str, *, connection: Connection | None = None) -> Champion | None:
    """Return the version that served before the champion; None if there was none."""
    history = list_decisions(warehouse, placement, connection=connection)
    standing = champions(history)
    return _as_champion(history, standing[-2]) if len(standing) > 1 else None


def champions(history: list[Decision]) -> list[Version]:
    """Return the versions that one placement's decisions left standing, the champion last."""
    standing: list[Version] = []
    for decision in history:
        version = (decision.model_name, decision.model_version)
        if decision.verdict == APPROVED and version not in standing[-1:]:
            standing.append(version)
        elif decision.verdict == ROLLED_BACK:
            standing = _rolled_back(standing, version, _restored(decision))
    return standing


def decisions_about(history: list[Decision], version: Version) -> list[Decision]:
    """Return what was decided about one version, in the order of the history."""
    return [entry for entry in history if (entry.model_name, entry.model_version) == version]


def refusal(history: list[Decision], version: Version) -> Decision | None:
    """Return the rejection or rollback that is the last word of a person about a version, else None.

    A policy doesn't overrule it, whatever the policy decided since; a person's approval ends it. A canary does not: it
    allows a version for a share only.
    """
    about = [entry for entry in decisions_about(history, version) if entry.verdict != CANARY]
    words = [entry for entry in about if entry.channel != POLICY]
    return words[-1] if words and words[-1].verdict in (REJECTED, ROLLED_BACK) else None


def propose_challenger(warehouse: Warehouse, *, model_name: str, model_version: str, now: datetime) -> None:
    """Say that a version waits for a decision: MLflow's alias ``challenger`` should name it."""
    with warehouse.transaction() as connection:
        _want(connection, model_name, CHALLENGER, str(model_version), now)


def withdraw_challenger(warehouse: Warehouse, *, model_name: str, model_version: str, now: datetime) -> None:
    """Say that a version does not wait for a decision any more; another one's alias is left alone."""
    with warehouse.transaction() as connection:
        _decided(connection, (model_name, str(model_version)), now)


def list_aliases(warehouse: Warehouse, model_name: str | None = None) -> list[Alias]:
    """Return what the aliases should be and what was last written, of one registered model or of all."""
    rows = warehouse.query(read_sql("publication", "aliases.sql"), {"model_name": model_name})
    return [Alias(**row) for row in rows]


def mark_written(warehouse: Warehouse, *, model_name: str, alias: str, version: str | None, now: datetime) -> None:
    """Say what was written to MLflow as an alias (None: it was removed).

    Raises:
        NotFoundError: if the ledger never wanted anything of that alias.
    """
    row = {"model_name": model_name, "alias": alias, "version": version, "now": now}
    with warehouse.transaction() as connection:
        changed = connection.execute(text(read_sql("publication", "mark_alias_written.sql")), row).rowcount
        if changed != 1:
            raise NotFoundError(
                f"The ledger has no alias {alias!r} of the model {model_name!r}, so nothing was "
                f"to be written. Aliases are {', '.join(ALIASES)}; they follow from decisions."
            )


def _check(ruling: Ruling) -> None:
    if ruling.verdict not in VERDICTS:
        raise SettingsError(f"There is no verdict {ruling.verdict!r}; a decision is one of {', '.join(VERDICTS)}.")
    if ruling.channel not in CHANNELS:
        raise SettingsError(f"There is no channel {ruling.channel!r}; it is one of {', '.join(CHANNELS)}.")
    if not ruling.decided_by.strip():
        raise SettingsError("A decision needs the name of who decided; it is empty.")


def _same_ruling(history: list[Decision], ruling: Ruling) -> Decision | None:
    """Return the newest decision about the version if the ruling says the same again."""
    about = decisions_about(history, ruling.version)
    newest = about[-1] if about else None
    if newest is None or (newest.verdict, newest.decided_by, newest.channel, newest.reason) != (
        ruling.verdict,
        ruling.decided_by,
        ruling.channel,
        ruling.reason,
    ):
        return None
    # An approval that another one has overtaken is news when it is given again.
    if ruling.verdict == APPROVED and ruling.version not in champions(history)[-1:]:
        return None
    return newest


def _restored(decision: Decision) -> Version | None:
    if decision.restored_model_name is None or decision.restored_model_version is None:
        return None
    return decision.restored_model_name, decision.restored_model_version


def _before(history: list[Decision], undone: Version) -> Version | None:
    """Return the champion that is left when one version is undone."""
    standing = [version for version in champions(history) if version != undone]
    return standing[-1] if standing else None


def _rolled_back(standing: list[Version], undone: Version, restored: Version | None) -> list[Version]:
    """Return what stands after a rollback: everything above the restored version is gone."""
    if restored is None:
        return []
    if restored in standing:
        last = len(standing) - 1 - standing[::-1].index(restored)
        return standing[: last + 1]
    return [*(version for version in standing if version != undone), restored]


def _as_champion(history: list[Decision], version: Version) -> Champion | None:
    approvals = [
        entry for entry in history if entry.verdict == APPROVED and (entry.model_name, entry.model_version) == version
    ]
    if not approvals:
        return None
    newest = approvals[-1]
    return Champion(newest.placement, newest.model_name, newest.model_version, newest.decided_at, newest.decision_id)


def _project(warehouse: Warehouse, connection: Connection, ruling: Ruling, *, now: datetime) -> None:
    """Write what the aliases should be after a decision."""
    standing = champions(list_decisions(warehouse, ruling.placement, connection=connection))
    if ruling.verdict != REJECTED:
        top = standing[-1] if standing else None
        before = standing[-2] if len(standing) > 1 else None
        model = top[0] if top else ruling.version[0]
        _want(connection, model, CHAMPION, top[1] if top else None, now)
        _want(connection, model, PREVIOUS, before[1] if before and before[0] == model else None, now)
    _decided(connection, ruling.version, now)


def _decided(connection: Connection, version: Version, now: datetime) -> None:
    """Take the alias ``challenger`` from a version that has been decided about."""
    row: dict[str, Any] = {"model_name": version[0], "version": version[1], "now": now}
    connection.execute(text(read_sql("publication", "clear_challenger.sql")), row)


def _want(connection: Connection, model_name: str, alias: str, version: str | None, now: datetime) -> None:
    row = {"model_name": model_name, "alias": alias, "version": version, "now": now}
    changed = connection.execute(text(read_sql("publication", "want_alias.sql")), row).rowcount
    if changed == 0:
        connection.execute(text(read_sql("publication", "add_alias.sql")), row)
