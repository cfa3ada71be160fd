"""docker-compose.yml: what can be known about it without starting anything; tests/e2e/test_composed.py starts it.

The schema of the Compose Specification is read from the package check-jsonschema, which carries it.
"""

import json
import re
import shlex
import stat
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from recsys.settings import Settings
from recsys.stack.environment import Layout
from recsys.stack.stack import _AIRFLOW_PARTS, _mlflow_part

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = json.loads(
    files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json").read_text(encoding="utf-8")
)
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / ".docker" / "Dockerfile").read_text(encoding="utf-8"))
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "no"}
LASTING = sorted(set(SERVICES) - ONCE)
PROFILES = {"celery": {"redis", "airflow-scheduler", "airflow-worker"}, "local": {"airflow-scheduler-local"}}
BOTH = {"postgres", "mlflow", "airflow-api", "airflow-dag-processor", "airflow-triggerer", *ONCE}


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, flags=re.MULTILINE)


def options(words: list[str]) -> dict[str, str | None]:
    """Return the options of a command with their values."""
    split = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    pairs = zip(split, [*split[1:], "--"], strict=True)
    return {word: None if value.startswith("--") else value for word, value in pairs if word.startswith("--")}


def in_profile(profile: str) -> set[str]:
    return {name for name, service in SERVICES.items() if profile in service.get("profiles", [profile])}


def test_it_agrees_with_the_compose_specification() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(COMPOSE)] == []


def test_the_schema_finds_a_fault() -> None:
    wrong = {"services": {"postgres": {**SERVICES["postgres"], "port": ["5432:5432"]}}}
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_has_all_parts_and_one_scheduler(profile: str) -> None:
    assert in_profile(profile) == BOTH | PROFILES[profile]
    executors = {SERVICES[name]["environment"]["AIRFLOW__CORE__EXECUTOR"] for name in PROFILES[profile] - {"redis"}}
    assert executors == {"CeleryExecutor" if profile == "celery" else "LocalExecutor"}
    for name in in_profile(profile):
        assert set(SERVICES[name].get("depends_on", {})) <= in_profile(profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_runs_once_is_awaited_by_what_stays(profile: str) -> None:
    """Otherwise `docker compose up --wait` takes a migration that is done for a service that has died."""
    awaited = {
        one
        for name in in_profile(profile) - ONCE
        for one, how in SERVICES[name].get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert awaited == ONCE


@pytest.mark.parametrize("name", LASTING)
def test_what_stays_says_when_it_is_well_and_comes_back_after_a_fall(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])


@pytest.mark.parametrize("name", SERVICES)
def test_each_has_limits_and_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["user"] == "${RECSYS_UID:-1000}:0"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_ports_are_reached_from_this_machine_only() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"postgres", "mlflow", "airflow-api"}
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for [port] in ports.values())


def test_what_is_written_is_kept_in_named_volumes() -> None:
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert used == set(COMPOSE["volumes"])
    # The database of the image lies in a folder of its volume.
    assert SERVICES["postgres"]["environment"]["PGDATA"].startswith("/var/lib/postgresql/data/")


def test_images_are_pinned_by_exact_tags() -> None:
    [base] = set(line.split()[0] for line in instructions("FROM"))
    tags = [base, *(service["image"] for service in SERVICES.values())]
    assert all(re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?(-[a-z]+)*", tag) for tag in tags), tags
    # The oldest version that the SQL is written for.
    assert SERVICES["postgres"]["image"].startswith("postgres:15.")


def test_secrets_are_files_and_each_is_declared_used_and_written() -> None:
    declared = {name: given["file"] for name, given in COMPOSE["secrets"].items()}
    assert declared == {name: f".stack/secrets/{name}" for name in declared}
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert used == set(declared)
    for name, service in SERVICES.items():
        read = set(re.findall(r"/run/secrets/([\w.]+)", json.dumps(service)))
        # PostgreSQL's script reads one for each role.
        assert read | {"postgres": used}.get(name, set()) >= set(service.get("secrets", [])), name
        assert read <= set(service.get("secrets", [])), name


def test_no_password_stands_in_it() -> None:
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN", variable):
                assert variable.endswith(("_FILE", "_CMD")), f"{name}: {variable}"
        urls = re.findall(r"\w+://[^\s\"']*", json.dumps(service))
        assert all(re.fullmatch(r"redis://:\$\$\(cat|[^:]+://[^:@]*(:\d+)?(/.*)?|[^:]+://[a-z]+@/\w+", u) for u in urls)


def test_the_secrets_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    programs = tmp_path / ".docker"
    programs.mkdir()
    (programs / "prepare.sh").write_bytes((ROOT / ".docker" / "prepare.sh").read_bytes())
    (tmp_path / ".env").write_text("COMPOSE_PROFILES=celery\nMINE=1\n", encoding="utf-8")
    subprocess.run(["bash", ".docker/prepare.sh", "local"], cwd=tmp_path, check=True)
    made = {path.name: path for path in (tmp_path / ".stack" / "secrets").iterdir()}
    assert set(COMPOSE["secrets"]) <= set(made)
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.values()} == {0o600}
    mine, user, profile = (tmp_path / ".env").read_text(encoding="utf-8").splitlines()
    assert (mine, profile) == ("MINE=1", "COMPOSE_PROFILES=local")
    assert user.startswith("RECSYS_UID=") and user != "RECSYS_UID=0"
    wrong = subprocess.run(["bash", ".docker/prepare.sh", "none"], cwd=tmp_path, capture_output=True, text=True)
    assert (wrong.returncode, "PROFILE is celery" in wrong.stderr) == (1, True)


def test_a_secret_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    program = ROOT / ".docker" / "with-secrets"
    (tmp_path / "key").write_text("two words", encoding="utf-8")
    given = {"PATH": "/usr/bin:/bin", "KEY_FROM_FILE": str(tmp_path / "key")}
    shown = subprocess.run([program, "printenv", "KEY"], env=given, capture_output=True, text=True)
    assert shown.stdout == "two words\n"
    given["KEY_FROM_FILE"] = str(tmp_path / "none")
    refused = subprocess.run([program, "printenv", "KEY"], env=given, capture_output=True, text=True)
    assert refused.returncode == 78
    assert "none, which KEY is to come from" in refused.stderr


def test_every_file_that_it_names_is_there() -> None:
    named = [one for service in SERVICES.values() for one in service.get("env_file", []) if isinstance(one, str)]
    named += [service["build"]["dockerfile"] for service in SERVICES.values() if "build" in service]
    named += [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]
    copied = [line for line in instructions("COPY") if not line.startswith("--from")]
    named += [source for line in copied for source in shlex.split(line)[:-1]]
    assert ".docker/requirements.lock" in named
    assert [file for file in named if not (ROOT / file).exists()] == []
    sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {source.split("/")[0] for line in copied for source in shlex.split(line)[:-1]} == set(sent)


def test_the_image_installs_by_hash_and_runs_without_privileges() -> None:
    assert "--require-hashes" in instructions("RUN")[0]
    assert instructions("USER") == ["10001:0"]
    assert instructions("ENTRYPOINT") == [json.dumps(SERVICES["mlflow"]["entrypoint"])]
    lock = (ROOT / ".docker" / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9_.-]+==\S+)", lock, flags=re.MULTILINE)
    assert {"mlflow", "apache-airflow", "apache-airflow-providers-celery"} <= {pin.split("==")[0] for pin in pins}
    assert lock.count("--hash=sha256:") >= len(pins)
    # What is tested is what is deployed.
    tested = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert [pin for pin in pins if f"\n{pin}" not in f"\n{tested}"] == []


def test_mlflow_runs_as_recsys_up_starts_it_and_asks_for_a_log_in(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    here = options(list(_mlflow_part(settings, Layout.of(settings)).command))
    own = options(SERVICES["mlflow"]["command"])
    assert set(own) - set(here) == {"--app-name", "--allowed-hosts"}
    assert set(here) <= set(own)
    assert own["--app-name"] == "basic-auth"
    assert "*" not in str(own["--allowed-hosts"])
    assert f"mlflow:{own['--port']}" in str(own["--allowed-hosts"]).split(",")
    assert SERVICES["mlflow"]["ports"] == [f"127.0.0.1:{own['--port']}:{own['--port']}"]
    volume = SERVICES["mlflow"]["volumes"][0].split(":")[1]
    assert own["--artifacts-destination"] == f"file://{volume}/artifacts"


def test_airflows_parts_run_as_recsys_up_starts_them() -> None:
    commands = [" ".join(service["command"]) for service in SERVICES.values()]
    for part in _AIRFLOW_PARTS:
        assert any(command.endswith(" ".join(part.command)) for command in commands), part.name
