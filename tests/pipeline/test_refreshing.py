"""Publications that make only the lists of customers of whom something is new, over one with those of all."""

import logging
import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline
from recsys.artifacts import local_path
from recsys.pseudonyms import is_customer
from recsys.publication import PublicationRecord, live_publication, rollback
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, Ran, list_rows, published
from tests.support.planted import NOW, Event, add_events, run_sql
from tests.support.searching import places
from tests.support.warehouse import item_id, user_id

DAY = timedelta(days=1)
WHEN = datetime(2025, 1, 2, 5)
BUYERS = [user_id(10), user_id(60), user_id(110)]
RETURNER, LATE, CORRECTED, NEXT = user_id(20), user_id(30), user_id(40), user_id(70)
FOR_YOU = ["for_you"]
CANARY = "'for_you', 1, 'c1', 'm', '2', 'p', 's', 0, '', 'running', 1, timestamp '2025-01-01', null"
RULE_COLUMNS = "rule_id, kind, item_id, other_item_id, created_by, known_at"
RULE = f"'r1', 'never_together', '{item_id(1)}', '{item_id(2)}', 'ada', timestamp '2025-01-01'"
Lists = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def settings(ran: Ran, tmp_path: Path) -> Settings:
    """A copy of the home in which the chain ran, with all lists made anew after a week."""
    shutil.copytree(ran.settings.resolved_home, tmp_path / "home")
    return ran.settings.model_copy(update={"home": tmp_path / "home", "whole_every_days": 7})


def buy(settings: Settings, day: int = 0, users: list[str] = BUYERS) -> None:
    """Let some customers buy something."""
    at = WHEN + day * DAY
    with open_warehouse(settings, purpose="test") as warehouse:
        add_events(warehouse, [Event(user, item_id(n), at, name=f"{day} {user}") for n, user in enumerate(users)])


def change(settings: Settings) -> None:
    """Let something become known of some customers: a return, an event that is recorded late, a correction."""
    with open_warehouse(settings, purpose="test") as warehouse:
        [bought] = warehouse.query(
            "select max(item_id) as item_id from shop.events where user_id = :user and event_type = 'purchase'",
            {"user": RETURNER},
        )
        events = [
            Event(RETURNER, str(bought["item_id"]), WHEN, kind="return", name="back"),
            Event(LATE, item_id(5), datetime(2024, 11, 2), recorded=WHEN, name="late"),
        ]
        add_events(warehouse, events)
    newest = f"(select max(event_id) from shop.events where user_id = '{CORRECTED}')"
    run_sql(settings, f"update shop.events set quantity = 77 where event_id = {newest}")


def fitted(settings: Settings, day: int = 1, placements: list[str] = PLACEMENTS, **asked: Any) -> dict[str, Any]:
    """Take a snapshot and plan."""
    snapshot = pipeline.take_snapshot(settings, as_of="latest", now=NOW + day * DAY)["snapshot"]
    return pipeline.fit_state(settings, snapshot=snapshot, placements=placements, **asked)


def scored(settings: Settings, plan: dict[str, Any]) -> list[str]:
    return [pipeline.score_shard(settings, state=plan["state"], **shard)["lists"] for shard in plan["shards"]]


def made(lists: list[str]) -> dict[str, Lists]:
    """Return the rows of scored lists by placement and customer."""
    found: dict[str, Lists] = {}
    for placement in PLACEMENTS:
        found[placement] = {}
        for row in list_rows([local_path(uri) / f"{placement}.parquet" for uri in lists]):
            found[placement].setdefault(row[0], []).append(row)
    return found


def publish(settings: Settings, day: int = 1, placements: list[str] = PLACEMENTS) -> dict[str, dict[str, Any]]:
    """Do what the publication DAG does; return the results by placement."""
    plan = fitted(settings, day, placements)
    given: dict[str, Any] = {"state": plan["state"], "lists": scored(settings, plan), "now": NOW + day * DAY}
    return {name: pipeline.publish_lists(settings, **given, placement=name, run_id=f"day {day}") for name in placements}


def seen(settings: Settings, placement: str) -> Lists:
    """Return the rows that readers see of each customer."""
    found: Lists = {}
    with open_warehouse(settings, purpose="test") as warehouse:
        for row in published(warehouse, placement):
            found.setdefault(row["user_id"], []).append(tuple(row.values())[:-1])
    return found


def live(settings: Settings, placement: str = "for_you") -> PublicationRecord:
    with open_warehouse(settings, purpose="test") as warehouse:
        record = live_publication(warehouse, placement)
        assert record is not None
        return record


def with_pseudonyms(settings: Settings) -> Settings:
    return settings.model_copy(update={"privacy": settings.privacy.model_copy(update={"pseudonymise": True})})


def stored(settings: Settings, record: PublicationRecord) -> list[dict[str, Any]]:
    """Return the customers' rows of a whole publication, spare ones too."""
    query = "select user_id, item_id from recsys.published_rows where publication_id = :id"
    with open_warehouse(settings, purpose="test") as warehouse:
        return [row for row in warehouse.query(query, {"id": record.publication_id}) if is_customer(row["user_id"])]


def own_lists(settings: Settings, record: PublicationRecord) -> set[str]:
    """Return of whom a publication has a list itself."""
    query = "select subject_id from recsys.publication_lists where publication_id = :id and bucket >= 0"
    with open_warehouse(settings, purpose="test") as warehouse:
        return {row["subject_id"] for row in warehouse.query(query, {"id": record.publication_id})}


def test_customers_with_news_get_the_lists_of_a_whole_publication(settings: Settings) -> None:
    """Others keep those that they had; the same again is a skip, and there is a way back."""
    before, base = {name: seen(settings, name) for name in PLACEMENTS}, live(settings)
    buy(settings)
    change(settings)
    news = {*BUYERS, RETURNER, LATE, CORRECTED}
    whole = made(scored(settings, fitted(settings, whole=True)))
    done = publish(settings)
    assert done["for_you"]["base"] == base.publication_id
    assert own_lists(settings, live(settings)) == news
    for name in PLACEMENTS:
        now = seen(settings, name)
        customers = {user for user in now if is_customer(user)}
        assert customers == {user for user in before[name] if is_customer(user)}
        assert {user: now[user] for user in news} == {user: whole[name][user][: len(now[user])] for user in news}
        assert {user: now[user] for user in customers - news} == {user: before[name][user] for user in customers - news}
        assert done[name]["customers"] == len(customers)
    assert any(seen(settings, "for_you")[user] != before["for_you"][user] for user in BUYERS)
    assert publish(settings, placements=FOR_YOU)["for_you"]["skipped"]
    with open_warehouse(settings, purpose="test") as warehouse:
        rollback(warehouse, settings, "for_you", decided_by="ada", channel="cli", reason="worse", now=NOW + 2 * DAY)
    assert live(settings).publication_id == base.publication_id
    assert seen(settings, "for_you") == before["for_you"]


def test_lists_with_products_that_may_not_be_recommended_any_more_are_made_anew(settings: Settings) -> None:
    """Of customers by pseudonyms. Who withdrew the consent keeps a list that nobody sees, and hinders nothing; who can
    have no list any more gets the default list.
    """
    settings = with_pseudonyms(settings)
    publish(settings, 0, FOR_YOU)
    shutil.rmtree(settings.resolved_home / "live")  # another machine's home may have none
    base = stored(settings, live(settings))
    (barred, _), (sold_out, _) = Counter(row["item_id"] for row in base).most_common()[-2:]
    quiet, bare, *holders = sorted({row["user_id"] for row in base if row["item_id"] in (barred, sold_out)})
    run_sql(
        settings,
        f"update shop.item_versions set available = false where item_id = '{sold_out}'",
        f"update shop.item_versions set recommendable = false where item_id = '{barred}'",
        f"update shop.users set is_personalised = false where user_id = '{quiet}'",
        f"delete from shop.events where user_id = '{bare}'",
    )
    buy(settings)
    publish(settings, placements=FOR_YOU)
    assert live(settings).base_publication_id is not None
    assert own_lists(settings, live(settings)) == {*BUYERS, *holders, bare}
    now = seen(settings, "for_you")
    assert quiet not in now
    defaults = [[row[1:] for row in rows] for user, rows in now.items() if not is_customer(user)]
    assert [row[1:] for row in now[bare]] in defaults
    assert {row[2] for rows in now.values() for row in rows}.isdisjoint({sold_out, barred})


def test_an_erased_customer_is_in_neither_and_the_others_lists_go_on(settings: Settings) -> None:
    """The next day builds on the same base."""
    base = live(settings).publication_id
    buy(settings)
    publish(settings, placements=FOR_YOU)
    kept, gone = seen(settings, "for_you"), BUYERS[0]
    pipeline.erase(settings, user=gone, by="ada", reason="request 1", now=NOW + DAY)
    assert seen(settings, "for_you") == {user: rows for user, rows in kept.items() if user != gone}
    buy(settings, 1, users=[NEXT])
    done = publish(settings, 2, FOR_YOU)["for_you"]
    assert done["base"] == live(settings).base_publication_id == base
    assert own_lists(settings, live(settings)) == {*BUYERS[1:], NEXT}
    assert places(gone, settings.resolved_home) == []


def test_all_lists_are_made_where_those_of_the_base_would_not_do(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    def why(**changes: Any) -> str:
        caplog.clear()
        with caplog.at_level(logging.INFO, "recsys.pipeline.refreshing"):
            plan = fitted(settings.model_copy(update=changes), placements=FOR_YOU)
        assert plan["refreshed"] == ({"for_you": len(BUYERS)} if "made over those" in caplog.text else {})
        return caplog.text

    buy(settings)
    assert "3 lists are made over those of for_you-" in why()
    assert "days older (RECSYS_WHOLE_EVERY_DAYS)" in why(whole_every_days=2)
    assert why(whole_every_days=1) == ""
    fewer = settings.publication.model_copy(update={"items": 8, "spare": 12})
    assert "by other code or settings" in why(publication=fewer)
    run_sql(settings, f"insert into recsys.canaries values ({CANARY})")
    assert "a version is on trial" in why()
    run_sql(settings, "delete from recsys.canaries", f"insert into shop.item_rules ({RULE_COLUMNS}) values ({RULE})")
    assert "other rules of the shop hold now" in why()
    run_sql(settings, "delete from shop.item_rules")
    buy(settings, users=[user_id(number) for number in range(120)])
    assert "customers need a new list" in why()
    before = Snapshot.open(f"{(settings.resolved_home / 'snapshots').as_uri()}/{live(settings).snapshot_id}")
    before.folder.rename(before.folder.with_name("elsewhere"))
    assert f"the snapshot {before.snapshot_id} of" in why()
