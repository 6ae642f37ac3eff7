"""The packages that stand between an application and its connections."""

from __future__ import annotations

from importlib import metadata

POOL_LIBRARIES = frozenset({
    "sqlalchemy", "sqlmodel", "flask_sqlalchemy", "psycopg", "psycopg_pool", "psycopg2", "asyncpg", "pymysql",
    "aiomysql", "asyncmy", "MySQLdb", "aiosqlite", "pyodbc", "aioodbc", "oracledb", "pg8000", "greenlet", "poolwatch",
    "gql",
})  # fmt: skip
"""Their frames never are the site of a lease, and what they raise they mean."""
DISTRIBUTIONS = (
    "sqlalchemy", "psycopg", "psycopg2-binary", "psycopg2", "psycopg-pool", "asyncpg", "pymysql", "aiomysql", "asyncmy",
    "aiosqlite", "pyodbc", "gql", "gevent", "greenlet",
)  # fmt: skip
"""Those whose version a report names, where they are installed."""


def versions() -> dict[str, str]:
    """Give the version of each of them that is installed."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = _version(metadata.distribution(name))
        except metadata.PackageNotFoundError:
            continue
    return found


def _version(package: metadata.Distribution) -> str:
    """Read one line: ``package.version`` parses all the metadata, a README among them, 12 ms for a dozen packages."""
    _, found, rest = (package.read_text("METADATA") or "").partition("\nVersion: ")
    return rest.partition("\n")[0].strip() if found else package.version
