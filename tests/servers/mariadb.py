"""MariaDB: a fresh data folder with one empty database."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.base import HOST, Server, complete, folder, program, running

_PLACES = ("/usr/sbin", "/usr/bin")
_USER = "root"
_DATABASE = "test"


@contextmanager
def mariadb(max_connections: int = 100) -> Iterator[Server]:
    """Run a MariaDB server; as its root we may open one connection more than ``max_connections`` (at least 10)."""
    with folder() as place:
        complete(_install(place), place)
        (place / "init.sql").write_text(f"CREATE DATABASE IF NOT EXISTS {_DATABASE};\n")
        # Its own way down takes seconds, and nobody wants the data.
        with running(lambda port: _server(place, port, max_connections), _ready, place, signal.SIGKILL) as (port, pid):
            yield _describe(port, pid)


def _install(place: Path) -> list[str]:
    options = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    return [program("mariadb-install-db", *_PLACES), *options, f"--datadir={place / 'data'}"]


def _server(place: Path, port: int, max_connections: int) -> list[str]:
    settings = {
        "datadir": place / "data",
        "socket": place / "socket",
        "pid-file": place / "pid",
        "init-file": place / "init.sql",
        "bind-address": HOST,
        "port": port,
        "max-connections": max_connections,
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-buffer-pool-size": "16M",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [program("mariadbd", *_PLACES), "--no-defaults", "--skip-name-resolve", *options]


def _ready(port: int) -> bool:
    """Tell whether the server greets: it speaks first, once it can serve."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as client:
            return len(client.recv(5)) == 5
    except OSError:
        return False


def _describe(port: int, pid: int) -> Server:
    url = f"mysql://{_USER}@{HOST}:{port}/{_DATABASE}"
    variables = {"MYSQL_HOST": HOST, "MYSQL_TCP_PORT": str(port), "MYSQL_USER": _USER, "MARIADB_URL": url}
    dsn = f"host={HOST};port={port};user={_USER};database={_DATABASE}"
    return Server("mysql", port, _USER, _DATABASE, pid, dsn, variables)
