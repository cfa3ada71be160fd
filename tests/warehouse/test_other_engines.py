"""Every statement that goes to the shop's warehouse, translated to engines that aren't here.

This shows that the SQL is in their reach: it is read, has nothing that they lack, and what comes out is read as theirs.
Nothing is run there; docs/engines.md says so.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlglot.errors import SqlglotError

from recsys import contracts, ledger, pipeline, publication
from recsys.assets import assets_root
from recsys.errors import AuditError
from recsys.knowledge.loading import load_rules, written_rules
from recsys.load import load_source
from recsys.settings import MonitoringSettings, Settings, SnapshotSettings
from recsys.snapshot import take_snapshot
from recsys.warehouse import Warehouse, migrate, open_warehouse, pending_migrations
from recsys.warehouse.migrations import split_statements
from tests.support.monitored import put_live, trained
from tests.support.orders import write_orders
from tests.support.planted import Event, run_sql, write_shop
from tests.support.publications import ITEMS, MODEL, NOW, PLACEMENT, approve, made_lists, write_publication
from tests.support.statements import (
    TARGETS,
    inline_statements,
    is_own,
    is_own_tongue,
    is_template,
    pattern_of,
    recorded,
    sql_files,
    translated,
    warehouse_files,
)
from tests.support.warehouse import item_id, make_settings, user_id, write_small_shop

# What an engine lacks; docs/engines.md says what to do about each.
EXCEPTIONS: Final = [("databricks", "initcap")]
DAY: Final = timedelta(days=1)
ADA: Final[dict[str, Any]] = {"decided_by": "ada", "channel": "cli", "reason": "worth a try"}
BO: Final[dict[str, Any]] = {"by": "bo", "reason": "recalled", "now": NOW}
SHOWN: Final = [item_id(number) for number in range(20)]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What a load, knowledge, snapshots, publications, trials, decisions, rules and two looks send."""
    folder = tmp_path_factory.mktemp("sent")
    with recorded() as seen:
        _load_orders(folder)
        comparing = SnapshotSettings(incremental=True)
        settings = make_settings(folder / "shop", tracking_uri="http://127.0.0.1:9", snapshot=comparing)
        _publish_and_monitor(settings)
        with open_warehouse(settings, purpose="test") as warehouse:
            _decide(warehouse, settings)
            _withhold(warehouse, settings)
            _try(warehouse, settings)
            _write_knowledge(warehouse, settings, folder)
        _replay(make_settings(folder / "rejected"))
    return seen


def _load_orders(folder: Path) -> None:
    settings = make_settings(folder / "orders")
    for lines in (200, 300):
        write_orders(folder / "orders.csv", lines=lines)
        load_source(settings, "orders", data_dir=folder / "orders.csv")
    with open_warehouse(settings, purpose="test") as warehouse:
        [somebody] = warehouse.query("select min(user_id) as user_id from shop.users")
    pipeline.erase(settings, user=somebody["user_id"], by="ada", reason="asked", now=NOW)


def _publish_and_monitor(settings: Settings) -> None:
    settings = settings.model_copy(
        update={
            "placements": {PLACEMENT: settings.placements[PLACEMENT]},
            "monitoring": MonitoringSettings(min_sample=10),
        }
    )
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
        assert pending_migrations(warehouse) == []
        write_small_shop(warehouse, users=30, items=ITEMS, days=90)
        approve(warehouse, "1")
        trained(warehouse, NOW - 10 * DAY)
        lists = {user_id(number): SHOWN for number in range(30)}
        put_live(warehouse, settings, "p1", lists)
    pipeline.monitor(settings, now=NOW, run_id="r1")
    # A correction of old, for which the next snapshot reads a day anew.
    run_sql(
        settings, "update shop.events set quantity = 9 where occurred_at = (select min(occurred_at) from shop.events)"
    )
    with open_warehouse(settings, purpose="test") as warehouse:
        put_live(warehouse, settings, "p2", {user: SHOWN[::-1] for user in lists}, now=NOW + DAY)
    pipeline.monitor(settings, now=NOW + DAY, run_id="r2")
    pipeline.retraining_needed(settings, now=NOW + DAY)


def _decide(warehouse: Warehouse, settings: Settings) -> None:
    ledger.propose_challenger(warehouse, model_name=MODEL, model_version="2", now=NOW)
    ledger.withdraw_challenger(warehouse, model_name=MODEL, model_version="2", now=NOW)
    approve(warehouse, "2", now=NOW + DAY)
    ledger.mark_written(warehouse, model_name=MODEL, alias="champion", version="2", now=NOW)
    for day, name in enumerate(("p3", "p4", "p5", "p6", "p7"), start=2):
        files = _files(settings, name, day, version="2")
        publication.publish(warehouse, settings, files, now=NOW + day * DAY)
    publication.rollback(warehouse, settings, PLACEMENT, **ADA, now=NOW + 8 * DAY)
    for hours in range(1, settings.publication.keep + 3):
        newer = replace(_files(settings, f"n{hours}", hours, version="2"), base="p6")
        publication.publish(warehouse, settings, newer, now=NOW + 8 * DAY + timedelta(hours=hours))
    few, barred = made_lists(users=3), [item_id(10)]
    folder = settings.resolved_home / "files"
    stale = write_publication(folder, "stale", few, version="2", barred=barred, base="p6")
    with pytest.raises(AuditError, match="lists of the base p6 name items"):
        publication.publish(warehouse, settings, stale, now=NOW + 9 * DAY)
    publication.archive(warehouse, settings, _files(settings, "old", 3), now=NOW + 8 * DAY)


def _withhold(warehouse: Warehouse, settings: Settings) -> None:
    rule = publication.suppress(warehouse, settings, publication.Rule(NOW, item_id=item_id(4)), **BO)
    publication.suppress(warehouse, settings, publication.Rule(NOW, brand="Brand 3"), **BO)
    publication.unsuppress(warehouse, settings, rule.suppression_id, **BO)
    publication.list_suppressions(warehouse)
    publication.set_consent(warehouse, settings, user_id(2), is_granted=False, **BO)
    publication.list_consent_changes(warehouse)
    publication.customer_list(warehouse, settings, user_id(1), PLACEMENT)
    publication.find_suppression(warehouse, rule.suppression_id)


def _try(warehouse: Warehouse, settings: Settings) -> None:
    day = 9
    for ending in ("withdraw", "promote"):
        lists = _files(settings, f"c-{ending}", day, version="3")
        canary = publication.start_canary(warehouse, settings, lists, share=0.2, **ADA, now=NOW + day * DAY)
        fresh = _files(settings, f"d-{ending}", day + 1, version="3")
        publication.refresh_canary(warehouse, settings, fresh, now=NOW + (day + 1) * DAY)
        publication.widen_canary(warehouse, settings, PLACEMENT, share=0.5, **ADA, now=NOW + (day + 2) * DAY)
        end = publication.promote_canary if ending == "promote" else publication.withdraw_canary
        end(warehouse, settings, PLACEMENT, **ADA, now=NOW + (day + 3) * DAY)
        day += 4
    publication.list_canaries(warehouse)
    publication.export_live(warehouse, settings)
    assert canary.placement == PLACEMENT


def _write_knowledge(warehouse: Warehouse, settings: Settings, folder: Path) -> None:
    rules = folder / "rules.csv"
    rules.write_text("rule_id,kind,brand\na,boost,Brand 1\n", encoding="utf-8")
    for append in (False, True):
        rules.write_text(f"rule_id,kind,brand\n{append},boost,Brand 1\n", encoding="utf-8")
        load_rules(warehouse, settings, rules, append=append, created_by="ada", now=NOW)
    written_rules(warehouse)


def _replay(settings: Settings) -> None:
    """Repair one rejected row, and replay it beside one that has become right by itself."""
    first = datetime(2024, 3, 1, 9)
    bad = [Event("ann", "milk", first, name="minus", quantity=-2), Event("ghost", "milk", first, name="nobody")]
    write_shop(settings, users=["ann"], items=["milk"], events=[Event("ann", "milk", first), *bad])
    take_snapshot(settings, as_of="2024-04-01", now=NOW)
    run_sql(settings, "insert into shop.users values ('ghost', 9, timestamp '2024-01-01', true, null)")
    with open_warehouse(settings, purpose="test") as warehouse:
        for row in contracts.find_quarantined(warehouse):
            changed = {"quantity": "2"} if row.row["event_id"] == "minus" else {}
            if changed:
                row = contracts.repair(warehouse, row.quarantine_id, changed, by="ada", now=NOW + DAY)
            assert contracts.replay(warehouse, settings, [row], by="ada", now=NOW + 2 * DAY).rows


def _files(settings: Settings, name: str, shift: int, version: str = "1") -> publication.NewPublication:
    rows = made_lists(shift=shift, label=name)
    return write_publication(settings.resolved_home / "files", name, rows, version=version)


@pytest.mark.parametrize("target", TARGETS)
def test_every_statement_sent_is_within_reach_of_the_engine(sent: set[str], target: str) -> None:
    assert len(sent) > 100
    assert _refused({text[:60]: text for text in sent if not is_own_tongue(text)}, target) == {}


@pytest.mark.parametrize("target", TARGETS)
def test_so_is_every_file_of_the_warehouse_whether_it_was_sent_or_not(target: str) -> None:
    files = {
        f"{name} {number}": statement
        for name, text in warehouse_files().items()
        if not is_template(text)
        for number, statement in enumerate(split_statements(text))
    }
    assert len(files) > 100
    assert _refused(files, target) == {}


@pytest.mark.parametrize("target", TARGETS)
def test_so_is_every_statement_that_stands_in_the_code(target: str) -> None:
    inline = {place: text for place, text, has_parts in inline_statements() if not has_parts}
    assert len(inline) > 5
    assert _refused({place: text for place, text in inline.items() if not is_own_tongue(text)}, target) == {}


def test_whatever_is_filled_in_at_run_time_was_sent_here(sent: set[str]) -> None:
    templates = {name: text for name, text in warehouse_files().items() if is_template(text)}
    templates |= {place: text for place, text, has_parts in inline_statements() if has_parts}
    assert {name for name, text in templates.items() if not any(pattern_of(text).search(one) for one in sent)} == set()


def test_no_file_that_counts_as_the_embedded_engines_own_goes_to_the_warehouse(sent: set[str]) -> None:
    own = {name: text for name, text in sql_files().items() if is_own(name) and not is_own_tongue(text)}
    assert len(own) > 50
    # A text that is all parts to be filled in looks like any statement.
    for name, text in ((name, text) for name, text in own.items() if "{columns}\nfrom {table}\n" not in text):
        assert not any(pattern_of(text).fullmatch(one.strip().removesuffix(";")) for one in sent), name


@pytest.mark.parametrize(
    "statement",
    [
        "select 1 frm shop.events",
        "select * from shop.events where user_id = any(array(select 1)) qualify",
        "vacuum analyze shop.events",
    ],
)
def test_what_no_other_engine_reads_is_refused(statement: str) -> None:
    assert _refused({"it": statement}, "snowflake") != {}


def test_the_exceptions_stand_in_the_documentation() -> None:
    told = (assets_root() / "docs" / "engines.md").read_text(encoding="utf-8")
    for engine, function in EXCEPTIONS:
        assert f"| {engine.capitalize()} | `{function}` |" in told
    for file in (name for name in sql_files() if name.endswith(".postgresql.sql")):
        assert f"`sql/{file}`" in told


def _refused(statements: dict[str, str], target: str) -> dict[str, str]:
    """Return what the engine can't be given, and why."""
    refused = {}
    for name, statement in statements.items():
        try:
            translated(statement, target)
        except (SqlglotError, ValueError) as error:
            if not any(target == engine and function in statement for engine, function in EXCEPTIONS):
                refused[name] = str(error)
    return refused
