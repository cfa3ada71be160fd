"""docker-compose.yml: what can be known about it without Docker.

The schema of the Compose Specification is read from the package check-jsonschema, which carries it.
"""

import ast
import json
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from recsys.settings import Settings
from recsys.stack.environment import Layout
from recsys.stack.stack import _mlflow_part

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = json.loads(
    files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json").read_text(encoding="utf-8")
)
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "mlflow" / "Dockerfile").read_text(encoding="utf-8"))


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, flags=re.MULTILINE)


def options(words: list[str]) -> dict[str, str | None]:
    """Return the options of a command with their values."""
    following = [*words[1:], "--"]
    pairs = zip(words, following, strict=True)
    return {word: None if value.startswith("--") else value for word, value in pairs if word.startswith("--")}


def test_it_agrees_with_the_compose_specification() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(COMPOSE)] == []


def test_the_schema_finds_a_fault() -> None:
    wrong = {"services": {"warehouse": {**SERVICES["warehouse"], "port": ["5432:5432"]}}}
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


def test_a_warehouse_and_a_tracking_server() -> None:
    assert set(SERVICES) == {"warehouse", "mlflow"}
    # The oldest version that the SQL is written for.
    assert SERVICES["warehouse"]["image"] == "postgres:15"
    assert SERVICES["mlflow"]["build"]["context"] == "."


@pytest.mark.parametrize("name", SERVICES)
def test_each_says_when_it_is_ready_and_is_reached_from_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert service["ports"]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service["ports"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_they_write_is_kept_in_a_named_volume(name: str) -> None:
    volumes = [volume.split(":") for volume in SERVICES[name]["volumes"]]
    assert [source for source, _ in volumes] == [name]
    assert name in COMPOSE["volumes"]


def test_no_password_stands_in_it() -> None:
    password = SERVICES["warehouse"]["environment"]["POSTGRES_PASSWORD"]
    assert re.fullmatch(r"\$\{RECSYS_PASSWORD:\?.+\}", password)


def test_every_file_that_it_names_is_there() -> None:
    build = SERVICES["mlflow"]["build"]
    files = [*SERVICES["mlflow"]["env_file"], build["dockerfile"]]
    files += [source for line in instructions("COPY") for source in shlex.split(line)[:-1]]
    assert "requirements.lock" in files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_the_image_installs_by_hash_and_serves_without_privileges() -> None:
    [base] = instructions("FROM")
    assert re.fullmatch(r"python:3\.1[123]-slim", base)
    assert "--require-hashes" in "".join(instructions("RUN"))
    assert instructions("USER") == ["mlflow"]
    assert DOCKERFILE.index("USER mlflow") < DOCKERFILE.index("CMD [")


def test_the_server_runs_as_recsys_up_starts_it(tmp_path: Path) -> None:
    [command] = instructions("CMD")
    inside = ast.literal_eval(command)
    settings = Settings(home=tmp_path)
    here = list(_mlflow_part(settings, Layout.of(settings)).command)
    assert inside[:2] == here[:2] == ["mlflow", "server"]
    own, local = options(inside), options(here)
    assert set(own) == set(local)
    for option in ("--workers", "--serve-artifacts"):
        assert own[option] == local[option]
    # Its port is the one that is published and asked for its health; what it writes lies in the volume.
    assert SERVICES["mlflow"]["ports"] == [f"127.0.0.1:{own['--port']}:{own['--port']}"]
    assert f"127.0.0.1:{own['--port']}/health" in SERVICES["mlflow"]["healthcheck"]["test"][-1]
    volume = SERVICES["mlflow"]["volumes"][0].split(":")[1]
    assert own["--backend-store-uri"] == f"sqlite:///{volume}/mlflow.db"
    assert own["--artifacts-destination"] == f"file://{volume}/artifacts"
