"""The whole chain in one process, as ``recsys run`` calls it."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

from recsys import logs
from recsys.pipeline import comparing, deciding, evaluating, rows, serving, training
from recsys.settings import Settings

Result = dict[str, Any]
MOST_AT_ONCE: Final = 256  # stages that wait for a cluster
Progress = Callable[[str, Mapping[str, Any] | None], None]


def evaluate_only(
    settings: Settings,
    *,
    as_of: str,
    placements: list[str],
    now: datetime,
    progress: Progress,
    run: str = "recsys evaluate",
) -> Result:
    """Train and measure every model; register and publish nothing.

    Args:
        settings: in force.
        as_of: ``latest``, a date or a time.
        placements: which.
        now: the clock, read by the caller.
        progress: called with a stage's name and None when it begins, and with its result when it ends.
        run: what the log lines call this run, before the moment that it is as of.

    Returns:
        The results of the stages by name, and ``metrics`` by placement and model.
    """
    stage = Stages(settings, progress, run)
    taken = stage("snapshot", training.take_snapshot, as_of=as_of, now=now)
    snapshot = taken["snapshot"]
    features = stage("features", training.build_features, snapshot=snapshot)
    generators = {
        f"candidates {name}": {"snapshot": snapshot, "generator": name} for name in settings.candidates.generators
    }
    candidates = stage.each(training.generate_candidates, generators)
    ranking_set = stage(
        "ranking set",
        rows.build_ranking_set,
        snapshot=snapshot,
        features=features["features"],
        candidates=[one["candidates"] for one in candidates],
        placements=placements,
    )["ranking_set"]
    references = [
        stage(f"reference {name}", training.generate_candidates, snapshot=snapshot, generator=name, only_holdout=True)[
            "candidates"
        ]
        for name in settings.evaluation.references
        if name not in settings.candidates.generators
    ]
    rankers = stage("ranker", training.train_rankers, ranking_set=ranking_set)["rankers"]
    champions = stage("champions", comparing.find_champions, placements=placements)["champions"]
    evaluation = stage(
        "evaluation",
        evaluating.evaluate_models,
        snapshot=snapshot,
        ranking_set=ranking_set,
        rankers=rankers,
        champions=champions,
        references=references,
    )
    return {
        "snapshot": snapshot,
        "as_of": taken["as_of"],
        "rankers": rankers,
        "evaluation": evaluation["evaluation"],
        "metrics": evaluation["metrics"],
    }


def run_chain(
    settings: Settings,
    *,
    as_of: str,
    placements: list[str],
    now: datetime,
    progress: Progress,
    clock: Callable[[], datetime] | None = None,
    whole: bool = False,
) -> Result:
    """Train, decide, score and publish.

    Args:
        settings: in force.
        as_of: ``latest``, a date or a time.
        placements: which.
        now: the clock when the run began, read by the caller.
        progress: called as in :func:`evaluate_only`.
        clock: tells when a decision is made and lists go live; if None, both get ``now``.
        whole: make the lists of all customers, whatever ``whole_every_days`` says.

    Returns:
        ``published`` (a row a placement), ``waiting`` (versions that need a person), ``moved_by_person``
        (aliases that somebody moved in MLflow) and ``metrics``.
    """
    run = "recsys run"
    tell = clock or (lambda: now)
    trained = evaluate_only(settings, as_of=as_of, placements=placements, now=now, progress=progress, run=run)
    run_name = f"{run} as of {trained['as_of']}"
    stage = Stages(settings, progress, run, trained)
    versions = stage(
        "registration",
        deciding.register_models,
        snapshot=trained["snapshot"],
        rankers=trained["rankers"],
        evaluation=trained["evaluation"],
        run_name=run_name,
    )["versions"]
    verdicts = stage("gate", deciding.apply_gate, evaluation=trained["evaluation"], versions=versions)["verdicts"]
    decided = stage("promotion", deciding.promote, verdicts=verdicts, now=tell(), channel="cli")
    fitted = stage("state", serving.fit_state, snapshot=trained["snapshot"], placements=placements, whole=whole)
    shards = {f"scoring {one['bucket_from']}": {"state": fitted["state"], **one} for one in fitted["shards"]}
    lists = [one["lists"] for one in stage.each(serving.score_shard, shards)]
    published = [
        stage(
            f"publication {placement}",
            serving.publish_lists,
            state=fitted["state"],
            lists=lists,
            placement=placement,
            run_id=run_name,
            now=tell(),
        )
        for placement in fitted["placements"]
    ]
    return {
        "published": published,
        "waiting": decided["waiting"],
        "moved_by_person": decided["moved_by_person"],
        "metrics": trained["metrics"],
    }


class Stages:
    """Calls stages and tells the progress; log lines carry what is known of the run by then."""

    def __init__(self, settings: Settings, progress: Progress, run: str = "", known: Mapping[str, Any] = {}) -> None:
        self._settings, self._progress, self._run = settings, progress, run
        self._ids: dict[str, str | None] = {}
        self._learn(known)

    def __call__(self, name: str, stage: Callable[..., Result], **arguments: Any) -> Result:
        """Call one stage, and return what it made."""
        self._progress(name, None)
        with logs.bound(**self._ids), logs.logged_stage(name, arguments) as told:
            result = stage(self._settings, **arguments)
            self._learn(result)
            told(result, **{name: one for name, one in self._ids.items() if name == logs.RUN_ID})
        self._progress(name, result)
        return result

    def each(self, stage: Callable[..., Result], calls: Mapping[str, Mapping[str, Any]]) -> list[Result]:
        """Call one stage with the arguments of each name; at the same time where a cluster computes."""
        if self._settings.engine == "local":
            return [self(name, stage, **arguments) for name, arguments in calls.items()]
        # They only wait for the cluster.
        with ThreadPoolExecutor(min(len(calls), MOST_AT_ONCE), "stage") as pool:
            begun = [pool.submit(self, name, stage, **arguments) for name, arguments in calls.items()]
            try:
                return [one.result() for one in begun]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _learn(self, result: Mapping[str, Any]) -> None:
        """Keep the ids that hold from now on: those of the run and of its snapshot."""
        found = logs.ids_of(result)
        if logs.SNAPSHOT_ID in found:
            self._ids[logs.SNAPSHOT_ID] = found[logs.SNAPSHOT_ID]
        if self._run and isinstance(result.get("as_of"), str):
            self._ids[logs.RUN_ID] = f"{self._run} as of {result['as_of']}"
