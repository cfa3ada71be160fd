"""What every DAG and task of ours must have, read from the parsed DAGs."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from recsys.assets import assets_root
from recsys.settings import load_settings

HOLDS_WAREHOUSE = {
    "measurements",
    "needed",
    "snapshot",
    "champions",
    "gate",
    "promotion",
    "state",
    "publication",
    "withholding",
    "archive",
    "canaries",
    "trial",
    "erasure",
}
COMPUTES = {"ingredients", "ranking_set", "ranker", "evaluation", "scoring", "models", "recipes"}
CHAIN = ("recsys_train", "recsys_publish")
DECISIONS = ("recsys_approve", "recsys_decide", "recsys_reconcile", "recsys_rollback")
OTHERS = ("recsys_suppress", "recsys_monitor", "recsys_backfill", "recsys_canary", "recsys_erase")
AT_ONCE = ("recsys_approve", "recsys_decide", "recsys_rollback", "recsys_canary")


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    # As the dag-processor does: the folder itself is importable, since it is a bundle's root.
    folder = assets_root() / "dags"
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="module")
def tasks(dags: dict[str, Any]) -> list[Any]:
    return [task for dag in dags.values() for task in dag.tasks]


def test_the_bag_holds_the_dags(dags: dict[str, Any]) -> None:
    assert sorted(dags) == sorted([*CHAIN, *DECISIONS, *OTHERS])


@pytest.mark.parametrize("dag_id", [*CHAIN, *DECISIONS, *OTHERS])
def test_a_dag_explains_and_bounds_itself(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    for part in ("**Purpose.**", "**Inputs.**", "**Outputs.**", "**On failure.**"):
        assert part in dag.doc_md
    assert dag.description
    assert "recommendations" in dag.tags
    assert dag.owner == "recommendations"
    assert dag.catchup is False
    # A question that waits for days, or a decision, must not hold up another one.
    assert (dag.max_active_runs == 1) == (dag_id not in AT_ONCE)
    assert dag.dagrun_timeout is not None


def test_every_task_retries_with_back_off_and_ends_in_time(tasks: list[Any]) -> None:
    for task in tasks:
        assert task.retries == 2, task.task_id
        assert task.retry_exponential_backoff, task.task_id
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=2), task.task_id
        assert task.doc_md, task.task_id


def test_an_error_for_a_person_is_not_tried_again(tasks: list[Any]) -> None:
    from recsys.errors import ContractError, SettingsError, WarehouseBusyError

    for task in tasks:
        decide = task.retry_policy.evaluate
        for error in (SettingsError("bad"), ContractError("empty")):
            assert decide(error, 1, 2).action.value == "fail", task.task_id
        assert decide(WarehouseBusyError("held"), 1, 2).action.value == "default", task.task_id


def test_what_holds_the_warehouse_and_what_computes_take_a_pool_each(tasks: list[Any]) -> None:
    pools = dict.fromkeys(HOLDS_WAREHOUSE, "recsys_warehouse") | dict.fromkeys(COMPUTES, "recsys_compute")
    for task in tasks:
        assert task.pool == pools.get(task.task_id, "default_pool"), task.task_id


def test_training_and_publication_are_the_chain_in_order(dags: dict[str, Any]) -> None:
    from recsys.stack.progress import topological_order

    order = {
        dag_id: topological_order({t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks})
        for dag_id, dag in dags.items()
    }
    assert order["recsys_publish"] == ["snapshot", "state", "scoring", "publication", "canaries"]
    assert order["recsys_monitor"] == ["measurements", "check"]
    assert order["recsys_backfill"] == ["champions", "snapshot", "models", "recipes", "scoring", "archive"]
    plans, work = {"parts", "rows", "learners"}, ["ingredients", "ranking_set", "ranker", "champions", "evaluation"]
    assert plans < set(order["recsys_train"])
    rest = [name for name in order["recsys_train"] if name not in plans]
    assert rest == ["needed", "snapshot", *work, "registration", "gate", "promotion", "waiting", "approvals"]
    assert order["recsys_canary"] == ["action", "move", "snapshot", "trial"]
    assert order["recsys_approve"] == ["evidence", "approval", "decision"]


def test_both_together_make_at_most_25_task_instances(dags: dict[str, Any]) -> None:
    settings = load_settings()
    copies = {
        "scoring": settings.shards,
        "publication": len(settings.placements),
        "approvals": len(settings.placements),
        "canaries": 0,  # does something only while a version is on trial
    }
    total = sum(copies.get(task.task_id, 1) for dag_id in CHAIN for task in dags[dag_id].tasks)
    assert total == 21


def test_a_late_publication_is_told_and_so_is_what_fails_in_monitoring(dags: dict[str, Any]) -> None:
    from airflow.sdk import DeadlineReference

    [alert] = dags["recsys_publish"].deadline
    # A run that was started by hand has no logical date, from which a deadline could be counted.
    assert alert.reference == DeadlineReference.DAGRUN_QUEUED_AT
    assert alert.interval == timedelta(hours=3)
    assert alert.callback.path == "recsys_notify.Notifier"
    assert "3 hours" in alert.callback.kwargs["what"]
    for task in dags["recsys_monitor"].tasks:
        assert [type(one).__name__ for one in task.on_failure_callback] == ["Notifier"]


def test_only_what_may_approve_announces_a_champion_and_the_publication_waits_for_it(dags: dict[str, Any]) -> None:
    outlets = {
        f"{dag_id}.{task.task_id}": [asset.name for asset in task.outlets]
        for dag_id, dag in dags.items()
        for task in dag.tasks
        if task.outlets
    }
    champion = ("train.promotion", "approve.decision", "decide.decision", "reconcile.aliases")
    lists = ("publish.publication", "rollback.rollback", "canary.trial", "canary.move")
    assert outlets == {
        **{f"recsys_{name}": ["recsys_champion"] for name in champion},
        **{f"recsys_{name}": ["recsys_live"] for name in lists},
    }
    timetable = dags["recsys_publish"].timetable
    assert [asset.name for asset in timetable.asset_condition.objects] == ["recsys_champion"]
    assert timetable.timetable.expression == "0 5 * * *"
    assert dags["recsys_train"].timetable.expression == "0 3 * * 1"


@pytest.mark.parametrize("as_of", ["latest", "2017-12-05", "2017-12-05T06:00", "2017-12-05 06:00:30"])
def test_the_form_takes_a_moment(dags: dict[str, Any], as_of: str) -> None:
    for dag in (dags[dag_id] for dag_id in CHAIN):
        assert dag.params.get_param("as_of").resolve(as_of) == as_of


@pytest.mark.parametrize("as_of", ["", "yesterday", "05.12.2017", "2017-12-5", "latest; drop table"])
def test_the_form_refuses_what_is_no_moment(dags: dict[str, Any], as_of: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    for dag in (dags[dag_id] for dag_id in CHAIN):
        with pytest.raises(ParamValidationError):
            dag.params.get_param("as_of").resolve(as_of)


@pytest.mark.parametrize("placements", [[], ["homepage"], ["for_you", "for_you"], "for_you"])
def test_the_form_refuses_placements_that_do_not_exist(dags: dict[str, Any], placements: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    for dag in (dags[dag_id] for dag_id in CHAIN):
        with pytest.raises(ParamValidationError):
            dag.params.get_param("placements").resolve(placements)


def test_every_parameter_explains_itself(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.description and param.schema["title"], (dag.dag_id, name)


def test_a_decision_waits_for_nothing_that_computes(dags: dict[str, Any]) -> None:
    moves = [task for task in dags["recsys_canary"].tasks if task.task_id in ("action", "move")]
    for dag_tasks in (*(dags[dag_id].tasks for dag_id in DECISIONS), moves):
        for task in dag_tasks:
            assert task.pool == "default_pool", task.task_id
            if task.task_id != "approval":  # which holds no worker while it waits
                assert (task.priority_weight, str(task.weight_rule)) == (1000, "absolute"), task.task_id
    computing = [
        task for dag_id in CHAIN for task in dags[dag_id].tasks if task.task_id not in ("waiting", "approvals")
    ]
    assert max(task.priority_weight for task in computing) < 1000


def test_nobody_answering_is_a_rejection(dags: dict[str, Any]) -> None:
    question = dags["recsys_approve"].get_task("approval")
    assert question.options == ["Approve", "Reject"]
    assert question.defaults == ["Reject"]
    assert question.response_timeout == timedelta(hours=72)


@pytest.mark.parametrize(
    "conf",
    [
        {"model": "", "version": "2", "verdict": "approved", "reason": "good"},
        {"model": "recsys_for_you", "version": "two", "verdict": "approved", "reason": "good"},
        {"model": "recsys_for_you", "version": "2", "verdict": "rolled_back", "reason": "good"},
        {"model": "recsys_for_you", "version": "2", "verdict": "approved", "reason": ""},
        {"model": "recsys_for_you", "version": "2", "verdict": "approved"},
    ],
)
def test_the_form_refuses_a_decision_that_says_too_little(dags: dict[str, Any], conf: dict[str, str]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = deepcopy(dags["recsys_decide"].params)
    with pytest.raises(ParamValidationError):
        params.update(conf)
        params.validate()


@pytest.mark.parametrize(
    ("name", "value"),
    [("action", "end"), ("share", 0), ("share", 101), ("share", "10%"), ("version", "two"), ("placement", "homepage")],
)
def test_the_form_of_a_canary_refuses_what_it_does_not_offer(dags: dict[str, Any], name: str, value: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dags["recsys_canary"].params.get_param(name).resolve(value)


def test_who_decides_is_whom_airflow_knows() -> None:
    from types import SimpleNamespace

    from recsys_wiring import person_of

    def person(user: str | None, named: str) -> str:
        run = SimpleNamespace(triggering_user_name=user)
        return person_of({"dag_run": run, "params": {"decided_by": named}})

    assert person("olga", "") == person("olga", "olga") == "olga"
    assert person("olga", "ada") == "olga (for ada)"
    assert person(None, "ada") == "ada"
    assert person(None, " ") == ""
