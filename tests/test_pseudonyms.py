"""Pseudonyms: the same for the same key, of no use without it."""

import hashlib
import hmac
from pathlib import Path

import pytest

from recsys.errors import SettingsError
from recsys.pseudonyms import Pseudonyms, is_customer, is_pseudonym
from recsys.registry.flatten import parameters, recipe
from recsys.settings import PrivacySettings
from tests.support.warehouse import make_settings

KEY = "sixteen letters!"


def test_a_pseudonym_is_the_beginning_of_a_keyed_hash(tmp_path: Path) -> None:
    made = Pseudonyms.of(make_settings(tmp_path, privacy=PrivacySettings(key=KEY)))
    digest = hmac.new(KEY.encode(), b"pseudonym\x1f4711", hashlib.sha256).hexdigest()
    assert made.name("4711") == f"c-{digest[:20]}"
    assert is_pseudonym(made.name("4711"))
    assert made.mark("4711") == hmac.new(KEY.encode(), b"do not process\x1f4711", hashlib.sha256).hexdigest()
    assert made.find(made.name("4711"), ["1", "4711", "2"]) == "4711"
    assert made.find(made.name("4711"), ["1", "2"]) is None
    assert not (tmp_path / "home" / "privacy").exists()


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    name = Pseudonyms.of(settings).name("1")
    path = settings.resolved_home / "privacy" / "key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["key"]
    assert Pseudonyms.of(settings).name("1") == name
    assert Pseudonyms.of(make_settings(tmp_path / "other")).name("1") != name


def test_a_lost_key_is_told_and_not_replaced(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    path = settings.resolved_home / "privacy" / "key"
    path.parent.mkdir(parents=True)
    path.write_text("")
    with pytest.raises(SettingsError, match="holds no key"):
        Pseudonyms.of(settings)


def test_the_key_is_no_parameter_of_a_run_and_no_part_of_a_recipe(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, privacy=PrivacySettings(key=KEY))
    assert KEY not in str(parameters(settings))
    assert KEY not in str(recipe(settings))
    assert KEY not in repr(settings)
    assert KEY not in repr(Pseudonyms.of(settings))


@pytest.mark.parametrize("subject", ["*", "segment:families"])
def test_default_lists_are_no_customers(subject: str) -> None:
    assert not is_customer(subject)
    assert is_customer("1")
