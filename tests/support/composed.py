"""A stand-in for `docker compose` where no engine runs: the services of docker-compose.yml as plain processes.

Each service's own command, entry point, environment, secrets, dependencies and health check are taken from the file.
What differs from a container is mapped as its command is started: names of services and 0.0.0.0 become 127.0.0.1, ports
become free ones, and a container's paths become folders below ``COMPOSED_STATE``. A service gets the secrets that it
declares and no others. It is called as ``docker`` is, from the project's folder: :func:`install` puts it on a path.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from recsys.stack.processes import end_sessions, session_members, tail
from tests.support.mlflow_server import free_port
from tests.support.postgres import postgres_programs

STATE = "COMPOSED_STATE"
WAIT_SECONDS = 600.0
_HEALTH_PAUSE = 2.0
_PORTS = (5432, 6379, 5000, 8080)
_HOSTS = ("postgres", "redis", "mlflow", "airflow-api")


def install(state: Path) -> dict[str, str]:
    """Make the program ``docker`` below a folder, and return the environment in which it is found."""
    programs = state / "bin"
    programs.mkdir(parents=True)
    script = programs / "docker"
    root = Path(__file__).resolve().parents[2]
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m tests.support.composed "$@"\n', encoding="utf-8"
    )
    script.chmod(0o755)
    (state / "ports.json").write_text(json.dumps({str(port): free_port() for port in _PORTS}), encoding="utf-8")
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", STATE: str(state)}


def ports(state: Path) -> dict[int, int]:
    """Return which port of this machine stands for which of a container."""
    return {int(one): other for one, other in json.loads((state / "ports.json").read_text(encoding="utf-8")).items()}


class Project:
    """The services of a docker-compose.yml, and where their processes keep what they have."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder, self.state = folder, state
        self.variables = _pairs(folder / ".env")
        text = (folder / "docker-compose.yml").read_text(encoding="utf-8")
        self.file: dict[str, Any] = yaml.safe_load(_interpolated(text, self.variables))
        profiles = set(self.variables.get("COMPOSE_PROFILES", "").split(","))
        self.services = {
            name: Service(self, name, given)
            for name, given in self.file["services"].items()
            if not given.get("profiles") or profiles & set(given["profiles"])
        }

    def up(self, names: Iterable[str]) -> None:
        """Start services and what they depend on, and wait until each is healthy or done."""
        waiting = self._with_dependencies(list(names) or list(self.services))
        began, ready, started = time.monotonic(), set(), {}
        while waiting - ready:
            for name in sorted(waiting - ready):
                service = self.services[name]
                if name not in started and set(service.dependencies) <= ready:
                    started[name] = service.start()
                if name in started and service.is_ready(started[name]):
                    ready.add(name)
            if time.monotonic() - began > WAIT_SECONDS:
                raise SystemExit(f"not healthy after {WAIT_SECONDS:.0f} s: {sorted(waiting - ready)}")
            time.sleep(0.2)

    def stop(self, names: Iterable[str]) -> None:
        """End services in the order in which nothing loses what it depends on."""
        left = {name for name in (list(names) or self.services) if self.services[name].is_running}
        while left:
            last = {name for name in left if not any(name in self.services[one].dependencies for one in left)}
            end_sessions(pid for name in last if (pid := self.services[name].pid))
            left -= last

    def down(self, *, volumes: bool) -> None:
        """End all services and remove what they leave; their volumes only if asked."""
        self.stop([])
        shutil.rmtree(self.state / "containers", ignore_errors=True)
        if volumes:
            shutil.rmtree(self.state / "volumes", ignore_errors=True)

    def _with_dependencies(self, names: list[str]) -> set[str]:
        found: set[str] = set()
        while names:
            name = names.pop()
            if name not in found:
                found.add(name)
                names += self.services[name].dependencies
        return found


class Service:
    """One service, run as a process that leads a session of its own."""

    def __init__(self, project: Project, name: str, given: Mapping[str, Any]) -> None:
        self.project, self.name, self.given = project, name, given
        self.box = project.state / "containers" / name
        self.dependencies = list(given.get("depends_on", {}))
        self.is_postgres = str(given.get("image", "")).startswith("postgres:")
        # PostgreSQL refuses to run as root, so does this one.
        self.user = "postgres" if self.is_postgres and os.geteuid() == 0 else None
        self._asked = 0.0

    @property
    def pid(self) -> int | None:
        path = self.box / "pid"
        return int(path.read_text(encoding="utf-8")) if path.is_file() else None

    @property
    def is_running(self) -> bool:
        return self.pid is not None and bool(session_members([self.pid]))

    def start(self) -> "subprocess.Popen[bytes] | None":
        """Start it unless it runs; return the process where this call started it."""
        if self.is_running:
            return None
        self._fill()
        if self.is_postgres:
            self._initialise_postgres()
        with (self.box / "log").open("ab") as log:
            process = self._popen([*self.entrypoint, *self.mapped(self.given["command"])], stdout=log, stderr=log)
        (self.box / "pid").write_text(str(process.pid), encoding="utf-8")
        return process

    @property
    def entrypoint(self) -> list[str]:
        return self.mapped(self.given.get("entrypoint", []))

    def is_ready(self, process: "subprocess.Popen[bytes] | None") -> bool:
        """Say whether it is healthy, or has done what it is there to do once.

        Raises:
            SystemExit: if it ended otherwise, with the end of its log.
        """
        code = process.poll() if process is not None else None
        once = self.given.get("restart") == "no"
        if code is not None and (code != 0 or not once):
            raise SystemExit(f"{self.name} ended with code {code}:\n{tail(self.box / 'log', 40)}")
        if once:
            return code == 0
        if time.monotonic() - self._asked < _HEALTH_PAUSE:
            return False
        healthy = self.ask_health() == 0
        self._asked = time.monotonic()
        return healthy

    def ask_health(self) -> int:
        """Run its health check once; 0 is healthy."""
        kind, *test = self.given["healthcheck"]["test"]
        command = ["/bin/sh", "-c", *test] if kind == "CMD-SHELL" else test
        with (self.box / "health").open("wb") as log:
            process = self._popen(self.mapped(command), stdout=log, stderr=log)
            try:
                return process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                end_sessions([process.pid], grace=0)
                return 1

    def run(self, command: list[str], *, with_entrypoint: bool) -> int:
        """Run another command as in its container; what is written goes where this program's goes."""
        self._fill()
        words = [*(self.entrypoint if with_entrypoint else []), *self.mapped(command)]
        return self._popen(words, stdin=None, stdout=None, stderr=None).wait()

    def mapped(self, words: list[str]) -> list[str]:
        """Return the words of a command as they are said on this machine."""
        return [self._mapped(word) for word in words]

    def _mapped(self, text: str) -> str:
        text = re.sub(rf"\b({'|'.join(_HOSTS)})(?=:({'|'.join(map(str, _PORTS))})\b)", "127.0.0.1", text)
        text = text.replace("0.0.0.0", "127.0.0.1").replace("listen_addresses=*", "listen_addresses=127.0.0.1")
        for inside, outside in ports(self.project.state).items():
            text = re.sub(rf"\b{inside}\b", str(outside), text)
        paths = self._paths()
        either = "|".join(map(re.escape, sorted(paths, key=len, reverse=True)))
        return re.sub(rf"(?<![\w-])({either})(?![\w-])", lambda match: str(paths[match[1]]), text)

    def _paths(self) -> dict[str, Path]:
        own = {path: self.box / path[1:] for path in ("/run/secrets", "/var/lib/airflow", "/var/lib/mlflow")}
        found = {"/opt/recsys": self.project.folder, **own}
        for volume in self.given.get("volumes", []):
            source, target = volume.split(":")[:2]
            is_bound = source.startswith(".")
            found[target] = (
                self.box / "bound" / Path(source).name if is_bound else self.project.state / "volumes" / source
            )
        return found

    def _fill(self) -> None:
        """Make the folders that a container has, its bound files, and its secrets, each its owner's alone."""
        for path in self._paths().values():
            if path.is_relative_to(self.project.state) and not path.is_relative_to(self.box / "bound"):
                path.mkdir(parents=True, exist_ok=True)
        (self.box / "bound").mkdir(exist_ok=True)
        for volume in self.given.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                shutil.copy(self.project.folder / source, self.box / "bound")
        for name in self.given.get("secrets", []):
            shutil.copy2(self.project.folder / self.project.file["secrets"][name]["file"], self.box / "run" / "secrets")
        if self.user is not None:
            mine = [self.box, *self.box.rglob("*"), self._paths()["/var/lib/postgresql/data"]]
            for path in mine:
                os.chown(path, *_ids(self.user))

    def environment(self) -> dict[str, str]:
        """Return what its processes are told: the image's variables, its files' and its own."""
        programs = [str(Path(sys.executable).parent), str(self._programs), "/usr/local/bin", "/usr/bin", "/bin"]
        image = {"PATH": os.pathsep.join(programs), "HOME": str(self.box), "USER": "recsys", "PYTHONUNBUFFERED": "1"}
        # The project's own copy comes before what the environment has installed.
        path = [str(self.project.folder), *filter(None, [os.environ.get("COMPOSED_PATH")])]
        image |= {"PYTHONPATH": os.pathsep.join(path), "LANG": "C.UTF-8"}
        if self.is_postgres:
            # Where the image's server has its socket, which its clients use if they are not told otherwise.
            image |= {"PGHOST": str(self.box), "PGPORT": str(ports(self.project.state)[5432])}
        for given in self.given.get("env_file", []):
            path = self.project.folder / (given if isinstance(given, str) else given["path"])
            image |= _pairs(path)
        given = {name: self._mapped(str(value)) for name, value in self.given.get("environment", {}).items()}
        return image | {name: "127.0.0.1" if value in _HOSTS else value for name, value in given.items()}

    @property
    def _programs(self) -> Path:
        found = postgres_programs()
        if found is None:
            raise SystemExit("PostgreSQL is not installed here")
        return found

    def _popen(self, command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        streams = {"stdin": subprocess.DEVNULL, **options}
        words = [*command, "-k", str(self.box), "-c", "fsync=off"] if command[0] == "postgres" else command
        return subprocess.Popen(
            words,
            env=self.environment(),
            cwd=self.box,
            user=self.user,
            group=None if self.user is None else _ids(self.user)[1],
            start_new_session=True,
            **streams,
        )

    def _initialise_postgres(self) -> None:
        """Do what the entry point of PostgreSQL's image does on an empty volume."""
        environment = self.environment()
        data = Path(environment["PGDATA"])
        if data.is_dir() and any(data.iterdir()):
            return
        options = ["--auth-local=trust", "--auth-host=scram-sha-256", *environment["POSTGRES_INITDB_ARGS"].split()]
        self._do(
            "initdb",
            "--no-sync",
            "-D",
            data,
            "-U",
            "postgres",
            f"--pwfile={environment['POSTGRES_PASSWORD_FILE']}",
            *options,
        )
        with (data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write("host all all all scram-sha-256\n")
        server = f"-k {self.box} -p {environment['PGPORT']} -c listen_addresses='' -c fsync=off"
        self._do("pg_ctl", "-D", data, "-o", server, "-w", "-l", self.box / "first", "start")
        for script in sorted((self.box / "bound").glob("*.sh")):
            text = self._mapped(script.read_text(encoding="utf-8"))
            self._do("sh", "-c", text)
        self._do("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")

    def _do(self, *command: str | Path) -> None:
        with (self.box / "log").open("ab") as log:
            code = self._popen(list(map(str, command)), stdout=log, stderr=log).wait()
        if code != 0:
            raise SystemExit(f"{self.name}: {command[0]} ended with {code}:\n{tail(self.box / 'log', 40)}")


def main(words: list[str]) -> int:
    """Run one command line of ``docker``."""
    # A container's processes don't know what the shell that calls this has set.
    os.umask(0o022)
    project = Project(Path.cwd(), Path(os.environ[STATE]))
    if words[:1] != ["compose"]:
        raise SystemExit(f"only `docker compose` is known here, not {words}")
    verb, rest = words[1], words[2:]
    if verb in ("exec", "run"):
        known = ["-T"] if verb == "exec" else ["--rm", "--no-deps", "-T"]
        if rest[: len(known)] != known:
            raise SystemExit(f"`docker compose {verb}` is known with {known} only, not {rest}")
        name, *command = rest[len(known) :]
        return project.services[name].run(command, with_entrypoint=verb == "run")
    options = {word for word in rest if word.startswith("--")}
    names = [word for word in rest if not word.startswith("--")]
    if verb == "ps" and options == {"--services"}:
        sys.stdout.writelines(f"{name}\n" for name, one in project.services.items() if one.is_running)
    elif verb == "up" and options <= {"--build", "--detach", "--wait"}:
        project.up(names)
    elif verb == "stop" and not options:
        project.stop(names)
    elif verb == "down" and options <= {"--volumes"}:
        project.down(volumes="--volumes" in options)
    else:
        raise SystemExit(f"not known here: {words}")
    return 0


def _pairs(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def _interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Do what Compose does with dollar signs, of which the file uses two kinds."""

    def value(match: "re.Match[str]") -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[2])

    return re.sub(r"\$\$|\$\{(\w+):-([^}]*)\}", value, text)


def _ids(user: str) -> tuple[int, int]:
    import pwd

    found = pwd.getpwnam(user)
    return found.pw_uid, found.pw_gid


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
