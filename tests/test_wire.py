"""When data last went over a connection: what the system says of its socket, without touching it."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from poolwatch.evidence import wire
from poolwatch.senses import driver
from tests.servers import Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells it")


def until(holds: Callable[[], bool]) -> None:
    """Wait for something to become true, at most 30 s."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def quiet(connection: object) -> float:
    """Give the quiet time of a connection that has one."""
    seconds = wire.quiet_for(connection)
    assert seconds is not None
    return seconds


def test_statement_ends_the_quiet(postgres: Server) -> None:
    """The quiet grows while nothing is sent, and begins anew with each statement."""
    with psycopg.connect(postgres.url("psycopg").replace("+psycopg", "")) as connection:
        until(lambda: quiet(connection) > 0.1)
        began = time.monotonic()
        connection.execute("select 1")
        assert quiet(connection) <= time.monotonic() - began + 0.05


def test_awaited_answer_is_no_quiet(postgres: Server) -> None:
    """While the server works on a statement the connection is in use, however long that takes."""
    with psycopg.connect(postgres.url("psycopg").replace("+psycopg", ""), autocommit=True) as connection:
        until(lambda: quiet(connection) > 0.1)
        thread = threading.Thread(target=lambda: connection.execute("select pg_sleep(0.6)"))
        answered = time.monotonic() + 0.6
        thread.start()
        until(lambda: quiet(connection) == 0.0)
        assert driver.is_executing(connection) or time.monotonic() > answered
        time.sleep(0.1)
        seen = quiet(connection)
        assert seen == 0.0 or time.monotonic() > answered
        thread.join()
        until(lambda: quiet(connection) > 0.0)
        assert not driver.is_executing(connection)


def test_where_nobody_can_say() -> None:
    """Of files, of sockets that are not TCP and of what is closed nothing is known."""
    connection = sqlite3.connect(":memory:")
    assert wire.quiet_for(connection) is None
    connection.close()
    one, other = socket.socketpair()
    assert wire._tcp_info(one.fileno()) is None
    one.close()
    other.close()
    assert wire._tcp_info(-1) is None


def test_socket_of_the_host_stays_as_it_is() -> None:
    """A host with a default timeout for new sockets keeps its old ones blocking."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        socket.setdefaulttimeout(5)
        try:
            assert wire._tcp_info(client.fileno()) is not None
        finally:
            socket.setdefaulttimeout(None)
        assert os.get_blocking(client.fileno())
