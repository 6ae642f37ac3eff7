"""The databases of the stories, by SQLAlchemy's words for dialect and driver, and their servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers import Server, mariadb, mssql, postgres
from tests.servers.graphql import graphql

FILE = "sqlite"
PG = "postgresql+psycopg"
PG2 = "postgresql+psycopg2"
MARIADB = "mysql+pymysql"
MSSQL = "mssql+pyodbc"
ASYNCPG = "postgresql+asyncpg"
PG_ASYNC = "postgresql+psycopg_async"
AIOMYSQL = "mysql+aiomysql"
ASYNC_FILE = "sqlite+aiosqlite"

SYNC_SERVERS = f"{PG} {PG2} {MARIADB}"
SYNC = f"{FILE} {SYNC_SERVERS}"
ASYNC_SERVERS = f"{ASYNCPG} {PG_ASYNC} {AIOMYSQL}"
ASYNC = f"{ASYNC_FILE} {ASYNC_SERVERS}"

_SERVERS = {"postgresql": postgres, "mysql": mariadb, "mssql": mssql, "graphql": graphql}


@contextmanager
def serving(databases: Iterable[str]) -> Iterator[dict[str, Server]]:
    """Run the servers that these databases need; gives them by dialect."""
    dialects = {database.partition("+")[0] for database in databases} & _SERVERS.keys()
    with ExitStack() as stack:
        yield {dialect: stack.enter_context(_SERVERS[dialect]()) for dialect in sorted(dialects)}


def url(database: str, servers: dict[str, Server], folder: Path) -> str:
    """Give the URL of a database: on its server, or in a file of ``folder``."""
    dialect, _, driver = database.partition("+")
    if dialect == "sqlite":
        return f"{database}:///{folder / 'story.db'}"
    return servers[dialect].url(driver)
