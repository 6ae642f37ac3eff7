"""Real servers for tests: on loopback, on a free port, in a temporary folder, never as root.

Each is a context manager that starts its own server and throws it away afterwards. A server dies with the
thread that started it, so start it in one that outlives its use. Nothing here knows of poolwatch.
"""

from __future__ import annotations

from tests.servers.base import Server, ServerError
from tests.servers.mariadb import mariadb
from tests.servers.mssql import mssql
from tests.servers.postgres import postgres

__all__ = ["Server", "ServerError", "mariadb", "mssql", "postgres"]
