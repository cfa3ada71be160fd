"""The form that hides products and lists, run on a small made shop with something live."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from recsys.assets import assets_root
from recsys.pseudonyms import Pseudonyms
from recsys.publication import list_consent_changes, list_suppressions, live_list, publish
from recsys.settings import Settings, load_settings
from recsys.warehouse import open_warehouse
from tests.support.airflow_home import migrate_database
from tests.support.publications import ITEMS, NOW, PLACEMENT, approve, made_lists, write_publication
from tests.support.warehouse import user_id, write_small_shop


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_HOME", str(home))
        settings = load_settings()
        with open_warehouse(settings, purpose="test") as warehouse:
            write_small_shop(warehouse, users=60, items=ITEMS, days=60)
            approve(warehouse, "1")
            publish(warehouse, settings, write_publication(home / "files", "p1", made_lists()), now=NOW)
        migrate_database()
        yield settings


@pytest.fixture(scope="module")
def dag(settings: Settings) -> Any:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = assets_root() / "dags"
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)
    return bag.dags["recsys_suppress"]


def run(dag: Any, **form: str) -> str:
    done = dag.test(run_conf={"reason": "asked for", **form}, logical_date=datetime.now(UTC))
    return str(done.get_task_instance("withholding").state)


def items(settings: Settings) -> set[str]:
    return {row.item_id for row in live_list(settings, user_id(0), PLACEMENT).rows}


def test_hide_products_and_show_them_again(settings: Settings, dag: Any) -> None:
    assert "i004" in items(settings)
    assert run(dag, action="hide products", item="i004", until="2999-01-01") == "success"
    assert "i004" not in items(settings)
    assert len(items(settings)) == 10
    with open_warehouse(settings, purpose="test") as warehouse:
        [rule] = list_suppressions(warehouse)
    # The person who triggered the run; Airflow's own name for a run of a test.
    assert (rule.created_by, rule.reason, rule.ends_at) == ("dag_test", "asked for", datetime(2999, 1, 1))
    assert run(dag, action="end a rule", rule=rule.suppression_id) == "success"
    assert "i004" in items(settings)


def test_withdraw_and_grant_consent(settings: Settings, dag: Any) -> None:
    for action, is_own in (("withdraw consent", False), ("grant consent", True)):
        assert run(dag, action=action, customer=Pseudonyms.of(settings).name(user_id(0))) == "success"
        assert (live_list(settings, user_id(0), PLACEMENT).subject_id == user_id(0)) is is_own
    with open_warehouse(settings, purpose="test") as warehouse:
        assert [change.changed_by for change in list_consent_changes(warehouse, user_id(0))] == ["dag_test"] * 2


def test_what_the_shop_does_not_have_fails_and_changes_nothing(settings: Settings, dag: Any) -> None:
    before = items(settings)
    assert run(dag, action="hide products", brand="no such brand") == "failed"
    assert run(dag, action="hide products") == "failed"
    assert items(settings) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("action", "drop"), ("placement", "homepage"), ("until", "tomorrow"), ("reason", ""), ("customer", "u0001")],
)
def test_the_form_refuses_what_it_does_not_offer(dag: Any, name: str, value: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)
