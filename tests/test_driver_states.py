"""What drivers say of a transaction, by attribute and without a word to the server."""

from __future__ import annotations

import asyncio
import sqlite3

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine, text

from poolwatch.senses import driver
from tests.servers import Server


@pytest.mark.parametrize(
    ("kind", "name"),
    [("postgres", "psycopg"), ("postgres", "psycopg2"), ("postgres", "pg8000"), ("mariadb", "pymysql")],
)
def test_transaction_is_seen(kind: str, name: str, request: pytest.FixtureRequest) -> None:
    """It is open from the first statement to the commit."""
    server: Server = request.getfixturevalue(kind)
    engine = create_engine(server.url(name))
    with engine.connect() as connection:
        native = driver.driver_connection(connection.connection)
        seen = [driver.in_transaction(native)]
        connection.execute(text("create temporary table orders (id int)"))
        connection.execute(text("insert into orders values (1)"))
        seen.append(driver.in_transaction(native))
        connection.commit()
        seen.append(driver.in_transaction(native))
    engine.dispose()
    assert seen == [False, True, False]


def test_listener_is_seen(postgres: Server) -> None:
    """A driver that calls the application for notifications says so."""

    async def asyncpgs() -> list[bool]:
        connection = await asyncpg.connect(postgres.url("asyncpg").replace("+asyncpg", ""))
        try:
            seen = [driver.is_listening(connection)]
            await connection.add_listener("orders", print)
            seen.append(driver.is_listening(connection))
            await connection.remove_listener("orders", print)
            return [*seen, driver.is_listening(connection)]
        finally:
            await connection.close()

    assert asyncio.run(asyncpgs()) == [False, True, False]
    with psycopg.connect(postgres.dsn) as connection:
        assert not driver.is_listening(connection)
        connection.add_notify_handler(print)
        assert driver.is_listening(connection)
    assert not driver.is_listening(sqlite3.connect(":memory:"))
