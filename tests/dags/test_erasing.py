"""A planted customer, in every place where customers are, erased by the form, and searched for in all of them."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline, review
from recsys.artifacts import open_artifact
from recsys.assets import assets_root
from recsys.buckets import bucket_of
from recsys.evaluation.sheets import list_sheets
from recsys.pseudonyms import Pseudonyms
from recsys.publication import list_publications, rollback, set_consent
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import open_warehouse
from tests.support.airflow_home import migrate_database
from tests.support.chain import PLACEMENTS, run, write_chain_shop
from tests.support.mlflow_server import mlflow_server
from tests.support.planted import NOW, quick_settings, run_sql
from tests.support.searching import places
from tests.support.warehouse import user_id

LATER = NOW + timedelta(days=1)
# Of the lowest buckets, so that the customer is the first of the ten whose lists the report shows.
PLANTED = min((f"planted-customer-{n}" for n in range(40_000)), key=lambda name: bucket_of("recsys", name))
SEEN: dict[str, str] = {}


@dataclass(frozen=True)
class Erased:
    """A home in which the chain ran, and what was found in it before and after the erasure."""

    settings: Settings
    airflow: Path
    before: list[str]
    after: list[str]
    results: str
    snapshot: str
    state: str


def plant(settings: Settings) -> None:
    """Give a new customer everything that another one has, and what only an erasure of all places finds."""
    bucket = bucket_of("recsys", PLANTED)
    events = f"replace(event_id, 'b', 'x'), '{PLANTED}', {bucket}, item_id, event_type, occurred_at, quantity, value"
    own = f"from shop.events where user_id = '{user_id(0)}'"
    columns = "event_id, user_id, bucket, item_id, event_type, occurred_at, quantity, value"
    run_sql(
        settings,
        f"insert into shop.users select '{PLANTED}', {bucket}, created_at, true, attributes from shop.users "
        f"where user_id = '{user_id(0)}'",
        f"insert into shop.events ({columns}) select {events} {own}",
        f"insert into shop.events ({columns}) select 'bad', '{PLANTED}', {bucket}, 'no such item', 'purchase', "
        f"occurred_at, 1, 1 {own} limit 1",
        *(
            f"insert into shop.events ({columns}) values ('late-{item}', '{PLANTED}', {bucket}, '{item}', 'purchase', "
            f"timestamp '2024-12-18', 1, 2)"
            for item in (f"i{number:03d}" for number in range(1, 100, 10))
        ),
        f"insert into shop.campaigns values ('k', '{PLANTED}', 'mail', timestamp '2024-05-01', timestamp '2024-06-01', "
        "timestamp '2024-05-01')",
        f"insert into shop.redemptions values ('r', '{PLANTED}', 'c', 'k', timestamp '2024-05-02')",
    )
    with open_warehouse(settings, purpose="test") as warehouse:
        for is_granted in (False, True):
            set_consent(warehouse, settings, PLANTED, is_granted=is_granted, by="ada", reason="mail", now=NOW)


def publish_again(settings: Settings) -> dict[str, Any]:
    """Publish the champions' lists of an earlier day over what is live."""
    taken = pipeline.take_snapshot(settings, as_of="2024-12-20", now=LATER)
    fitted = pipeline.fit_state(settings, snapshot=taken["snapshot"], placements=PLACEMENTS)
    lists = [pipeline.score_shard(settings, state=fitted["state"], **shard)["lists"] for shard in fitted["shards"]]
    given = {"state": fitted["state"], "lists": lists, "run_id": "again", "now": LATER}
    published = [pipeline.publish_lists(settings, placement=placement, **given) for placement in PLACEMENTS]
    return {"snapshot": taken, "state": fitted, "published": published}


def form(**conf: str) -> str:
    """Run the DAG as its form would, and return the task's state."""
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = assets_root() / "dags"
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)
    done = bag.dags["recsys_erase"].test(run_conf=conf, logical_date=datetime.now(UTC))
    return str(done.get_task_instance("erasure").state)


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erased]:
    home, airflow = tmp_path_factory.mktemp("erased"), Path(os.environ["AIRFLOW_HOME"])
    migrate_database()
    with mlflow_server(home / "served") as address, pytest.MonkeyPatch.context() as patch:
        settings = quick_settings(home, tracking_uri=address)
        patch.setenv("RECSYS_HOME", str(settings.home))
        patch.setenv("RECSYS_TRACKING_URI", address)
        write_chain_shop(settings, users=120)
        plant(settings)
        ran = run(settings)
        again = publish_again(settings)
        sheet = list_sheets(settings)[0]
        watched = pipeline.monitor(settings, run_id="watch", now=LATER)
        SEEN["page"] = review.render("version", **review.review(settings, sheet.model, sheet.version), **VIEWER)
        SEEN["results"] = json.dumps([ran.stages, ran.result, again, watched], default=str)
        SEEN["airflow"] = str(places(PLANTED, airflow, home / "served"))
        before = places(PLANTED, home)
        SEEN["form"] = form(customer=Pseudonyms.of(settings).name(PLANTED), reason="request 4711")
        yield Erased(
            settings,
            airflow,
            before,
            places(PLANTED, home, airflow),
            SEEN["results"],
            ran.stages["snapshot"]["snapshot"],
            again["state"]["state"],
        )


VIEWER: dict[str, Any] = {"user": "ada", "may_decide": False, "may_roll_back": False, "token": "0", "evaluation": "e"}


def test_before_the_customer_is_found_where_customers_are(erased: Erased) -> None:
    found = {re.sub(r"\d{8}T\d{6}-[0-9a-f]{12}|[a-z_]+-[0-9a-f]{16}", "X", place) for place in erased.before}
    assert "home/snapshots/X/users.parquet: user_id" in found
    tables = {place.rpartition(": ")[2] for place in erased.before if place.startswith("home/warehouse.duckdb: ")}
    assert tables >= {
        "bytes",
        "shop.users.user_id",
        "shop.events.user_id",
        "shop.campaigns.user_id",
        "shop.redemptions.user_id",
        "shop.quarantine.row",
        "recsys.consent_changes.user_id",
        "recsys.publication_lists.subject_id",
        "recsys.list_rows.subject_id",
    }
    folders = {place.split("/")[1] for place in erased.before}
    assert {"live", "lists", "monitoring"} <= folders


def test_mlflow_airflow_results_and_evaluations_never_hold_the_id(erased: Erased) -> None:
    assert SEEN["airflow"] == "[]"
    assert PLANTED not in erased.results
    assert not [place for place in erased.before if place.startswith(("home/evaluations", "home/board", "served"))]


def test_the_review_page_resolves_the_pseudonym_for_who_looks(erased: Erased) -> None:
    assert f"Customer {PLANTED}" in SEEN["page"]


def test_after_the_customer_is_nowhere(erased: Erased) -> None:
    assert SEEN["form"] == "success"
    assert erased.after == []


def test_not_even_the_pseudonym_is_left_in_what_reviewers_see(erased: Erased) -> None:
    name = Pseudonyms.of(erased.settings).name(PLANTED)
    home = erased.settings.resolved_home
    assert places(name, home / "evaluations", home / "live", home.parent / "served" / "mlflow" / "artifacts") == []
    for sheet in list_sheets(erased.settings):
        examples = json.loads((open_artifact(sheet.evaluation) / "examples.json").read_text())
        assert len(examples) == 18  # nine of ten, on two placements


def test_the_proof_says_what_was_removed_and_who_had_learned_from_it(erased: Erased) -> None:
    [path] = (erased.settings.resolved_home / "erasures").glob("*.json")
    proof = json.loads(path.read_text())
    assert (proof["status"], proof["reason"], proof["requested_by"]) == ("done", "request 4711", "dag_test")
    rows = proof["proof"]["rows"]
    assert rows["shop.users"] == rows["shop.campaigns"] == rows["shop.redemptions"] == 1
    assert rows["shop.events"] > 1
    assert rows["recsys.publication_lists"] == 4  # two publications of two placements
    assert [one["model"] for one in proof["proof"]["models"]] == ["recsys_discover", "recsys_for_you"]
    assert len(proof["proof"]["snapshots"]) == 2
    assert proof["proof"]["remaining"] == 0


def test_the_successor_is_what_an_extraction_gives_now(erased: Erased) -> None:
    taken = Snapshot.open(pipeline.take_snapshot(erased.settings, as_of="latest", now=NOW)["snapshot"])
    successor = Snapshot.open(erased.snapshot)  # by the old name
    assert successor.snapshot_id == taken.snapshot_id
    [before] = successor.manifest["predecessors"]
    assert before["snapshot_id"] in erased.snapshot
    assert before["content_hash"] != successor.manifest["content_hash"]
    assert successor.user_count == 123


def test_what_is_live_goes_on_and_can_be_rolled_back_and_published_again(erased: Erased) -> None:
    settings = erased.settings
    with open_warehouse(settings, purpose="test") as warehouse:
        for placement in PLACEMENTS:
            live = next(one for one in list_publications(warehouse, placement) if one.status == "live")
            stored = warehouse.query(
                "select count(distinct user_id) as users from recsys.published_rows "
                "where publication_id = :id and user_id <> '*' and not starts_with(user_id, 'segment:')",
                {"id": live.publication_id},
            )[0]
            assert live.user_count == stored["users"]
            rollback(warehouse, settings, placement, decided_by="ada", channel="cli", reason="test", now=LATER)
    assert publish_again(settings)["published"][0]["status"] == "live"


def test_again_is_a_skip_and_a_restored_customer_is_left_out_and_erased(erased: Erased) -> None:
    settings = erased.settings
    done = pipeline.erase(settings, user=PLANTED, by="ada", reason="again", now=LATER)
    assert (done["status"], done["skipped"]) == ("done", True)
    run_sql(settings, "delete from recsys.do_not_process")
    plant(settings)
    taken = pipeline.take_snapshot(settings, as_of="2024-12-19", now=LATER)
    assert places(PLANTED, settings.resolved_home / "snapshots") == []
    assert taken["rows"]["users"] == 123
    ran = pipeline.retain(settings, by="ada", now=LATER)
    assert ran["erasures"] == [done["erasure_id"]]
    assert places(PLANTED, settings.resolved_home) == []
