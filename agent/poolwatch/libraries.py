"""The packages that stand between an application and its connections."""

from __future__ import annotations

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
