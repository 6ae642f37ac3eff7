"""PostgreSQL: a fresh cluster, about a second from nothing to the first SELECT."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.base import HOST, Server, complete, folder, program, running

_PLACES = "/usr/lib/postgresql/*/bin"
_USER = "postgres"


@contextmanager
def postgres(max_connections: int = 100) -> Iterator[Server]:
    """Run a PostgreSQL server; three of ``max_connections`` are kept for superusers, as we are."""
    with folder() as place:
        complete(_initdb(place), place)
        with running(lambda port: _server(place, port, max_connections), _ready, place, signal.SIGQUIT) as (port, pid):
            yield _describe(port, pid)


def _initdb(place: Path) -> list[str]:
    options = ["--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8", f"--username={_USER}"]
    return [program("initdb", _PLACES), f"--pgdata={place / 'data'}", *options]


def _server(place: Path, port: int, max_connections: int) -> list[str]:
    settings = {
        "listen_addresses": HOST,
        "unix_socket_directories": str(place),
        "fsync": "off",
        "shared_buffers": "16MB",
        "max_connections": str(max_connections),
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [program("postgres", _PLACES), "-D", str(place / "data"), "-p", str(port), *options]


def _ready(port: int) -> bool:
    argv = [program("pg_isready", _PLACES), "-q", "-h", HOST, "-p", str(port)]
    return subprocess.run(argv).returncode == 0


def _describe(port: int, pid: int) -> Server:
    dsn = f"host={HOST} port={port} user={_USER} dbname={_USER}"
    url = f"postgresql://{_USER}@{HOST}:{port}/{_USER}"
    variables = {"PGHOST": HOST, "PGPORT": str(port), "PGUSER": _USER, "PGDATABASE": _USER, "POSTGRES_URL": url}
    return Server("postgresql", port, _USER, _USER, pid, dsn, variables)
