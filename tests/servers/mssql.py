"""A fake SQL Server: the real FreeTDS and pyodbc talk to ``faketds.py``, since the real server is not to be had."""

from __future__ import annotations

import glob
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

from tests.servers.base import HOST, Server, ServerError, answers, folder, running, tied

_DRIVERS = "/usr/lib/*/odbc/libtdsodbc.so"


@dataclass(frozen=True)
class OdbcServer(Server):
    """A server that is reached through an ODBC connection string, its ``dsn``."""

    def url(self, driver: str = "pyodbc") -> str:
        """Give SQLAlchemy's URL around the ODBC connection string."""
        return _url(driver, self.dsn)


@contextmanager
def mssql() -> Iterator[Server]:
    """Run a fake SQL Server; faketds.py says what it answers."""
    library = _driver()
    with folder() as place, running(_server, answers, place, signal.SIGKILL, tied) as (port, pid):
        dsn = f"Driver={library};Server={HOST};Port={port};TDS_Version=7.4;Encryption=off;UID=sa;PWD=x;Database=master"
        yield OdbcServer("mssql", port, "sa", "master", pid, dsn, {"MSSQL_URL": _url("pyodbc", dsn)})


def _url(driver: str, dsn: str) -> str:
    return f"mssql+{driver}:///?odbc_connect={quote_plus(dsn)}"


def _server(port: int) -> list[str]:
    # -I: nothing that is put into Python programs by way of the environment gets into the server.
    return [sys.executable, "-I", str(Path(__file__).with_name("faketds.py")), str(port)]


def _driver() -> str:
    found = glob.glob(_DRIVERS)
    if not found:
        raise ServerError("FreeTDS's ODBC driver is not installed; scripts/install-servers installs it")
    return found[0]
