"""The stages of a canary: a version's lists on a fresh snapshot, its start and moves, and how it did."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from recsys import canaries, publication, registry
from recsys import columns as c
from recsys.artifacts import within_home
from recsys.errors import ConflictError, NotFoundError, RefusedError, RegistryError, SettingsError
from recsys.evaluation.arms import measure_arms
from recsys.evaluation.gate import PASSED
from recsys.pipeline.aliases import follow_later
from recsys.pipeline.chain import Progress, Stages
from recsys.pipeline.serving import fit_versions, new_publication, score_shard
from recsys.pipeline.training import take_snapshot
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse, migrate, open_warehouse

Result = dict[str, Any]
Move = Literal["widen", "promote", "withdraw"]
ENDS = {"promote": canaries.PROMOTED, "withdraw": canaries.WITHDRAWN}
ID_PART = "canary"


@within_home
def fit_version(settings: Settings, *, snapshot: str, model: str, version: str, override: bool = False) -> Result:
    """Fit one version's recipe to a snapshot, and plan the shards; as :func:`recsys.pipeline.fit_state` does.

    Raises:
        NotFoundError: if the registry has no such version.
        RegistryError: if MLflow can't be reached, or the version is not one of this platform.
        ConflictError: if the gate did not pass it, unless ``override``; or another canary runs there.
        AuditError: if it is the champion.
    """
    found = registry.get_version(settings, model, version)
    if not found.placement:
        raise RegistryError(
            f"Version {version} of {model} was not registered by this platform, so it has no placement."
        )
    settings.placement(found.placement)
    if found.tags.get("gate") != PASSED and not override:
        raise ConflictError(
            f"Version {version} of {model} did not pass the gate. {found.tags.get('gate_reason', '')} To show it to "
            "customers all the same, say so: --override; the ledger records it."
        )
    chosen = (model, found.version)
    with open_warehouse(settings, purpose="read the canaries") as warehouse:
        migrate(warehouse)
        running = publication.running_canary(warehouse, found.placement)
        # Told before the scoring, which takes long; the same start again is no error.
        if running is None or (running.model_name, running.model_version) != chosen:
            publication.require_place(warehouse, found.placement, chosen)
    return fit_versions(settings, Snapshot.open(snapshot), {found.placement: chosen})


@within_home
def fit_canaries(settings: Settings, *, snapshot: str, placements: list[str]) -> Result:
    """Fit the recipes of the canaries that run, and plan the shards; a placement without one is left out.

    ``canaries`` of what it returns says which canary it is, by placement.
    """
    for placement in placements:
        settings.placement(placement)
    with open_warehouse(settings, purpose="read the canaries") as warehouse:
        migrate(warehouse)
        running = {name: publication.running_canary(warehouse, name) for name in placements}
    versions = {name: (one.model_name, one.model_version) for name, one in running.items() if one is not None}
    ids = {name: one.canary_id for name, one in running.items() if one is not None}
    return {**fit_versions(settings, Snapshot.open(snapshot), versions), "canaries": ids}


@within_home
def start_canary(
    settings: Settings,
    *,
    state: str,
    lists: list[str],
    placement: str,
    share: float,
    decided_by: str,
    channel: str,
    reason: str,
    run_id: str,
    now: datetime,
    override: bool = False,
    since: datetime | None = None,
) -> Result:
    """Stage, audit and show a version's lists to a share of the customers, 0 to 1.

    With ``override`` the ledger says that it was started although the gate did not pass it.

    Raises:
        RefusedError: besides what the publication refuses, if a canary of the version was ended after ``since``, naive
            UTC: when whoever tries again had begun. What a person ended meanwhile is not begun anew.
    """
    new = new_publication(settings, state=state, lists=lists, placement=placement, run_id=run_id, kind=ID_PART)
    with open_warehouse(settings, purpose=f"start a canary on {placement}") as warehouse:
        migrate(warehouse)
        ended = _ended_since(warehouse, placement, since)
        if ended is not None and (ended.model_name, ended.model_version) == (new.model_name, new.model_version):
            raise RefusedError(
                f"{ended.canary_id} of the same version was started and is {ended.status} since this began, so it is "
                "not begun anew. Ask again if that is what you want."
            )
        begun = publication.start_canary(
            warehouse,
            settings,
            new,
            share=share,
            decided_by=decided_by,
            channel=channel,
            reason=f"override: {reason}" if override else reason,
            now=now,
        )
    return _told(begun)


@within_home
def refresh_canary(
    settings: Settings, *, state: str, lists: list[str], placement: str, run_id: str, now: datetime, canary_id: str
) -> Result:
    """Show newer lists of the version on trial to the same customers.

    A canary that was ended while the lists were made is told as it ended: that is no failure.
    """
    new = new_publication(settings, state=state, lists=lists, placement=placement, run_id=run_id, kind=ID_PART)
    with open_warehouse(settings, purpose=f"refresh the canary on {placement}") as warehouse:
        try:
            return _told(publication.refresh_canary(warehouse, settings, new, now=now, canary_id=canary_id))
        except (ConflictError, NotFoundError):
            canary = publication.find_canary(warehouse, canary_id)
            if canary.ended_at is None:
                raise
            return _told(canary)


def move_canary(
    settings: Settings,
    *,
    placement: str,
    move: Move,
    decided_by: str,
    channel: str,
    reason: str,
    now: datetime,
    share: float | None = None,
    canary_id: str | None = None,
    since: datetime | None = None,
) -> Result:
    """Widen, promote or withdraw the canary that runs on a placement, and let MLflow follow.

    Args:
        settings: where the warehouse and MLflow are.
        placement: where.
        move: ``widen`` (to ``share``), ``promote`` (for everybody) or ``withdraw``.
        decided_by: who decides.
        channel: policy, airflow, mlflow or cli.
        reason: why, for the ledger.
        now: naive UTC.
        share: of all customers, 0 to 1, to widen to.
        canary_id: which canary is meant; whichever runs if None.
        since: when the caller began, naive UTC, who may have been killed and tries again: what is asked for is done
            where a canary ended that way since then.

    Returns:
        The canary, ``moved_by_person`` (see :func:`recsys.pipeline.aliases.reconcile_aliases`) and ``mlflow_later``:
        why MLflow does not show the decision yet, empty if it does. The ledger is the truth, and the next run repeats
        it.

    Raises:
        SettingsError: if the move, the share, the placement, the reason or the name can't be used.
        NotFoundError: if no canary runs, or another one than is meant.
        ConflictError: if something was decided, or went live, meanwhile.
    """
    named: dict[str, Any] = {"decided_by": decided_by, "channel": channel, "reason": reason, "canary_id": canary_id}
    with open_warehouse(settings, purpose=f"{move} the canary on {placement}") as warehouse:
        before = _ended_since(warehouse, placement, since)
        if before is not None and before.status == ENDS.get(move) and canary_id in (None, before.canary_id):
            publication.export_live(warehouse, settings)
            done = before
        elif move == "widen":
            if share is None:
                raise SettingsError("To widen a canary, say to which share of the customers.")
            done = publication.widen_canary(warehouse, settings, placement, share=share, now=now, **named)
        elif move == "promote":
            done = publication.promote_canary(warehouse, settings, placement, now=now, **named)
        elif move == "withdraw":
            done = publication.withdraw_canary(warehouse, settings, placement, now=now, **named)
        else:
            raise SettingsError(f"A canary is widened, promoted or withdrawn, not {move!r}.")
    if move == "widen":
        return {**_told(done), "moved_by_person": [], "mlflow_later": ""}
    return {**_told(done), **follow_later(settings, now, version=(done.model_name, done.model_version))}


def measure_canary(settings: Settings, *, canary_id: str, now: datetime) -> Result:
    """Measure a canary that runs or ran by what was bought meanwhile; see :func:`measure_arms`.

    Raises:
        NotFoundError: if there is no such canary, or nothing to measure it by.
    """
    with open_warehouse(settings, purpose="read the canary") as warehouse:
        canary = publication.find_canary(warehouse, canary_id)
    taken = take_snapshot(settings, as_of="latest", now=now)
    with open_warehouse(settings, purpose="measure the canary") as warehouse:
        return measure_arms(warehouse, settings, Snapshot.open(taken["snapshot"]), canary)


def try_version(
    settings: Settings,
    *,
    model: str,
    version: str,
    share: float,
    decided_by: str,
    reason: str,
    now: datetime,
    progress: Progress,
    as_of: str = "latest",
    override: bool = False,
) -> Result:
    """Make a version's lists and start its canary, in this process.

    Args:
        settings: in force.
        model: the registered model.
        version: its version.
        share: of all customers, 0 (a shadow) to 1.
        decided_by: who wants it.
        reason: why, for the ledger.
        now: naive UTC.
        progress: called with a stage's name and None when it begins, and with its result when it ends.
        as_of: ``latest``, a date or a time.
        override: although the gate did not pass it.
    """
    stage = Stages(settings, progress)
    snapshot = stage("snapshot", take_snapshot, as_of=as_of, now=now)["snapshot"]
    made = _made(stage, snapshot, model=model, version=version, override=override)
    return stage(
        f"canary {made[c.PLACEMENT]}",
        start_canary,
        **made,
        share=share,
        decided_by=decided_by,
        channel="cli",
        reason=reason,
        override=override,
        run_id=f"recsys canary start as of {as_of}",
        now=now,
    )


@within_home
def make_canary_lists(
    settings: Settings, *, snapshot: str, placement: str, version: str, override: bool = False
) -> Result:
    """Make a version's lists from a snapshot, for :func:`start_canary`, which takes what this returns.

    Raises:
        SettingsError: if there is no such placement.
        ConflictError: and others, as :func:`fit_version`.
    """
    stage = Stages(settings, lambda *_: None)
    return _made(stage, snapshot, model=settings.model_name(placement), version=version, override=override)


def _made(stage: Stages, snapshot: str, **chosen: Any) -> Result:
    fitted = stage("state", fit_version, snapshot=snapshot, **chosen)
    [placement] = fitted["placements"]
    return {"state": fitted["state"], "lists": _scored(stage, fitted), c.PLACEMENT: placement}


def refresh_canaries(
    settings: Settings, *, placements: list[str], now: datetime, progress: Progress, as_of: str = "latest"
) -> list[Result]:
    """Make newer lists of the versions on trial and show them, in this process; nothing where no canary runs.

    Arguments are those of :func:`try_version`.
    """
    stage = Stages(settings, progress)
    snapshot = stage("snapshot", take_snapshot, as_of=as_of, now=now)["snapshot"]
    run_id = f"recsys canary refresh as of {as_of}"
    return _renewed(stage, snapshot, placements, run_id, lambda: now)


@within_home
def renew_canaries(
    settings: Settings, *, snapshot: str, placements: list[str], run_id: str, clock: Callable[[], datetime]
) -> list[Result]:
    """Make lists of the versions on trial from a snapshot and show them; nothing where no canary runs.

    One that was ended while its lists were made is told with the status it ended with.

    Args:
        settings: in force.
        snapshot: URI of the snapshot.
        placements: where.
        run_id: the run that makes them.
        clock: tells, in naive UTC, when they are shown.
    """
    return _renewed(Stages(settings, lambda *_: None), snapshot, placements, run_id, clock)


def _renewed(
    stage: Stages, snapshot: str, placements: list[str], run_id: str, clock: Callable[[], datetime]
) -> list[Result]:
    fitted = stage("state", fit_canaries, snapshot=snapshot, placements=placements)
    made = {"state": fitted["state"], "lists": _scored(stage, fitted), "run_id": run_id}
    return [
        stage(f"canary {placement}", refresh_canary, placement=placement, now=clock(), canary_id=canary_id, **made)
        for placement, canary_id in fitted["canaries"].items()
    ]


def _scored(stage: Stages, fitted: Result) -> list[str]:
    return [
        stage(f"scoring {shard['bucket_from']}", score_shard, state=fitted["state"], **shard)["lists"]
        for shard in fitted["shards"]
    ]


def _ended_since(warehouse: Warehouse, placement: str, since: datetime | None) -> publication.Canary | None:
    """Return the newest canary of a placement if it ended after a moment, else None."""
    newest = next(iter(publication.list_canaries(warehouse, placement)), None)
    is_ended = newest is not None and newest.ended_at is not None and since is not None and newest.ended_at > since
    return newest if is_ended else None


def _told(canary: publication.Canary) -> Result:
    return {
        "canary_id": canary.canary_id,
        c.PLACEMENT: canary.placement,
        "model": canary.model_name,
        "version": canary.model_version,
        c.PUBLICATION_ID: canary.publication_id,
        "share": canary.share,
        c.STATUS: canary.status,
    }
