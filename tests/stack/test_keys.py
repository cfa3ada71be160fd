import json
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from recsys.errors import StackError
from recsys.settings import load_settings
from recsys.stack.environment import Layout, stack_environment
from recsys.stack.keys import load_keys


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    first = load_keys(tmp_path)
    assert load_keys(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert load_keys(tmp_path / "other").password != first.password


def test_the_binary_keys_are_keys(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    for key in (keys.fernet_key, keys.webhook_key):
        cipher = Fernet(key)
        assert cipher.decrypt(cipher.encrypt(b"secret")) == b"secret"


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"password": "only"})])
def test_a_broken_file_is_named_with_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content, encoding="utf-8")
    with pytest.raises(StackError, match=r"keys\.json .* Delete it to have new ones made"):
        load_keys(tmp_path)


def test_the_environment_carries_the_settings_and_not_the_callers_airflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__HOST", "0.0.0.0")
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    settings = load_settings(home=tmp_path, namespace="acme", airflow_port=18081, gate={"bootstrap": 500})
    layout = Layout.of(settings)
    made = stack_environment(settings, layout, load_keys(layout.stack))
    assert made["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert made["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert made["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    for name in list(made):
        if name.startswith("RECSYS_"):
            monkeypatch.setenv(name, made[name])
    told = load_settings()
    assert told.resolved_home == tmp_path
    assert told.namespace == "acme"
    assert told.gate.bootstrap == 500
    assert told.mlflow_uri == layout.mlflow_url
