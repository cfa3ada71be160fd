"""A load of the shop doesn't give back a consent that was withdrawn here."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from recsys.load import load_source
from recsys.publication import set_consent
from recsys.settings import Settings
from recsys.warehouse import open_warehouse

ROWS = "Id,Who,What,Many,Paid,Sold\n1,a,x,1,2.5,2020-01-01\n2,b,y,2,3,2020-01-02 10:00\n"
NOW = datetime(2020, 2, 1)


def consents(settings: Settings) -> dict[str, bool]:
    with open_warehouse(settings, purpose="test") as warehouse:
        rows = warehouse.query("select user_id, is_personalised from shop.users")
    return {row["user_id"]: row["is_personalised"] for row in rows}


def change(settings: Settings, user: str, is_granted: bool) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        set_consent(warehouse, settings, user, is_granted=is_granted, by="ada", reason="mail", now=NOW)


def test_a_withdrawal_holds_until_it_is_granted_again(make_source: Callable[..., Path], settings: Settings) -> None:
    data = make_source(ROWS)
    load_source(settings, "play", data_dir=data)
    change(settings, "a", False)
    load_source(settings, "play", data_dir=data, force=True)
    assert consents(settings) == {"a": False, "b": True}
    change(settings, "a", True)
    assert consents(settings) == {"a": True, "b": True}
    load_source(settings, "play", data_dir=data, force=True)
    assert consents(settings) == {"a": True, "b": True}


def test_a_customer_who_was_away_for_a_load_is_still_withdrawn(
    make_source: Callable[..., Path], settings: Settings
) -> None:
    data = make_source(ROWS)
    load_source(settings, "play", data_dir=data)
    change(settings, "b", False)
    load_source(settings, "play", data_dir=make_source(ROWS.rsplit("2,b", 1)[0]))
    assert consents(settings) == {"a": True}
    load_source(settings, "play", data_dir=make_source(ROWS))
    assert consents(settings) == {"a": True, "b": False}
