"""What compose.yml and the Dockerfiles say of a service, as a process."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rotel
import yaml

from tests.rehearsal.stage import ROOT, lay, read_only
from tests.servers.base import program

COMPOSE = ROOT / "deploy" / "compose" / "compose.yml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
ORDER = ("database", "collector", "app", "agent", "alertmanager", "pager", "prometheus", "customers")
PATIENCE = 90.0
"""Seconds after which what should come is believed to be missing."""

_SHOP = COMPOSE.parent / "app"
_BINARIES = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
"""What an image starts by itself, by the name it has here."""
_USERS = {"prometheus": "65534:65534", "alertmanager": "65534:65534"}
"""Who an image is, where it is not ours and compose.yml does not say."""


@dataclass
class Service:
    """One service of compose.yml, to be started where its containers would be."""

    name: str
    said: dict[str, Any]
    image: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Give the file with what it has written."""
        return Path("/tmp") / f"{self.name}.log"

    def start(self) -> None:
        """Lay out its volumes and secrets, and start it as its user."""
        self.lay_volumes()
        self.start_command(self._command())

    def start_command(self, argv: list[str]) -> None:
        """Start a command as this service."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self._inside(argv), stdout=log, stderr=log, **self.where())

    def await_health(self) -> None:
        """Wait until its health check succeeds; where there is none, until it has not ended at once."""
        test = self.said.get("healthcheck", {}).get("test", ["CMD", *self.image.get("HEALTHCHECK", ["true"])])
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(self._inside(test[1:]), capture_output=True, **self.where()).returncode:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} has ended: {self.written()[-4000:]}"
            assert time.monotonic() < deadline, f"{self.name} is not healthy: {self.written()[-4000:]}"
            time.sleep(0.1)

    def written(self) -> str:
        """Give what it has written."""
        return self.log.read_text("utf-8", "replace")

    def _command(self) -> list[str]:
        given = self.said.get("command", self.image.get("CMD", []))
        binary = [program(_BINARIES[self.name])] if self.name in _BINARIES else self.image.get("ENTRYPOINT", [])
        return [*binary, *given]

    def _inside(self, argv: list[str]) -> list[str]:
        """Wrap a command so that it runs as this service's user, and can write to what compose.yml lets it."""
        return read_only(argv, self._user(), (mount.partition(":")[0] for mount in self.said.get("tmpfs", ())))

    def run(self, argv: list[str], **options: Any) -> None:
        """Run a command inside to its end; it must succeed."""
        subprocess.run(self._inside(argv), check=True, capture_output=True, **options, **self.where())

    def where(self) -> dict[str, Any]:
        """Give environment and folder of its processes, as ``subprocess`` takes them."""
        own = {str(key): str(value) for key, value in self.said.get("environment", {}).items()}
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin"
        environment = {"PATH": path, "HOME": "/", **self.image.get("ENV", {}), **own}
        return {"env": environment, "cwd": self.image.get("WORKDIR", "/")}

    def _user(self) -> str:
        return str(self.said.get("user") or self.image.get("USER") or _USERS[self.name])

    def lay_volumes(self) -> None:
        """Lay out its folders: those of the checkout as they are, the others new and its own."""
        if "WORKDIR" in self.image:
            lay(_SHOP, Path(self.image["WORKDIR"]))
        for volume in self.said.get("volumes", ()):
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                lay((COMPOSE.parent / source).resolve(), Path(target))
            else:
                self._own(Path(target))
        for mount in self.said.get("tmpfs", ()):
            self._own(Path(mount.partition(":")[0]))

    def _own(self, folder: Path) -> None:
        """Make a folder of this service's user; one that another has made is the other's, as with a shared volume."""
        if not folder.exists():
            folder.mkdir(parents=True, mode=0o700)
            os.chown(folder, *map(int, self._user().split(":")))
            lay(folder, folder)  # a mount of its own stays writable where the root is not


def read(name: str) -> Service:
    """Read a service from compose.yml, and from the Dockerfile that it is built by."""
    said = SERVICES[name]
    image = _image(said["build"]["dockerfile"]) if "build" in said else {}
    return Service(name, said, image)


def _image(dockerfile: str) -> dict[str, Any]:
    """Give what the last stage of a Dockerfile says, as far as a process knows of it."""
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ").rpartition("\nFROM ")[2]
    said = {word: json.loads(rest) for word, rest in re.findall(r"^(CMD|ENTRYPOINT) (\[.*\])$", text, re.MULTILINE)}
    health = re.search(r"^HEALTHCHECK .*CMD (\[.*\])$", text, re.MULTILINE)
    variables = re.search(r"^ENV (.*)$", text, re.MULTILINE)
    assert health is not None
    assert variables is not None
    environment = dict(word.split("=", 1) for word in variables[1].split())
    environment.pop("PATH")
    return {
        **said,
        "HEALTHCHECK": json.loads(health[1]),
        "ENV": environment,
        "USER": re.findall(r"^USER (.+)$", text, re.MULTILINE)[0],
        **dict(re.findall(r"^(WORKDIR) (.+)$", text, re.MULTILINE)),
    }


def run_all() -> Iterator[tuple[str, Service]]:
    """Start the services that can be had, each once the one before is healthy."""
    for name in ORDER:
        service = read(name)
        began = time.monotonic()
        _OTHERWISE.get(name, Service.start)(service)
        service.await_health()
        print(f"{name} is up (after {time.monotonic() - began:.1f} s)", flush=True)
        yield name, service


def _start_database(service: Service) -> None:
    """Start PostgreSQL as its image does: a new cluster with the user, the password and the tables that are named."""
    service.lay_volumes()
    bin, data = Path(program("postgres", "/usr/lib/postgresql/*/bin")).parent, "/var/lib/postgresql/data"
    said = service.said["environment"]
    make = [f"{bin}/initdb", "-D", data, "-U", said["POSTGRES_USER"], f"--pwfile={said['POSTGRES_PASSWORD_FILE']}"]
    service.run([*make, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"])
    tables = Path("/docker-entrypoint-initdb.d/orders.sql").read_text()
    for name, statements in (("postgres", f"CREATE DATABASE {said['POSTGRES_DB']}"), (said["POSTGRES_DB"], tables)):
        service.run([f"{bin}/postgres", "--single", "-j", "-D", data, name], input=statements.encode() + b";\n\n")
    service.start_command([str(bin / "postgres"), "-D", data, "-c", "listen_addresses=*", "-k", "/run/postgresql"])


def _start_collector(service: Service) -> None:
    """Start rotel, another collector, on the same ports; it writes the spans that come in."""
    service.image["USER"] = "10001:10001"
    ports = ["--otlp-http-endpoint=0.0.0.0:4318", "--otlp-grpc-endpoint=0.0.0.0:4317"]
    show = ["--exporter=blackhole", "--debug-log=traces", "--debug-log-verbosity=detailed"]
    service.start_command([str(Path(rotel.__file__).with_name("rotel-agent")), "start", *ports, *show])


_OTHERWISE = {"database": _start_database, "collector": _start_collector}


def hand_out_secrets() -> None:
    """Make the secrets with the script that is there for it, and put them where containers find them."""
    target = Path("/run/secrets")
    shutil.copytree(COMPOSE.parent, "/tmp/compose", ignore=shutil.ignore_patterns("app", "secrets"))
    (Path("/tmp/compose/secrets")).mkdir()
    subprocess.run(["/tmp/compose/make-secrets"], check=True)
    shutil.copytree("/tmp/compose/secrets", target)
    target.chmod(0o755)
