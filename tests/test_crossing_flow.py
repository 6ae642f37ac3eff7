"""One connection in the hands of flow after flow: whose it is, and when that is a crossing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, create_engine, text

import poolwatch

SERIALIZABLE, AUTOCOMMIT = "SERIALIZABLE", "AUTOCOMMIT"


@pytest.fixture
def engine(tmp_path: Path, watch: poolwatch.Watch) -> Iterator[Engine]:
    """Give an engine whose connections any thread may use."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        connection.execute(text("create table orders (id integer)"))
    yield engine
    engine.dispose()


def requests(use: Callable[[], object]) -> None:
    """Let an application use something in two requests, one after the other, each on a thread of its own."""
    app = FastAPI()

    @app.get("/orders/{number}")
    def order(number: int, request: Request) -> int:
        use()
        return number

    for number in range(2):
        with TestClient(app) as client:
            assert client.get(f"/orders/{number}").json() == number


WAYS: dict[str, tuple[str, str, list[str]]] = {
    "writes": (SERIALIZABLE, "insert into orders values (1)", ["crossing.flow"]),
    "reads": (SERIALIZABLE, "select 1", ["crossing.flow"]),
    "commits by itself": (AUTOCOMMIT, "insert into orders values (1)", []),
}
"""Isolation level, statement, and what is to be found."""


@pytest.mark.parametrize(("level", "statement", "expected"), WAYS.values(), ids=WAYS.keys())
def test_taken_outside_all_flows(
    level: str, statement: str, expected: list[str], watch: poolwatch.Watch, engine: Engine
) -> None:
    """An application's own connection may serve request after request where none leaves anything open in it."""
    with engine.connect().execution_options(isolation_level=level) as connection:
        requests(lambda: connection.execute(text(statement)))
        found = watch.findings()
    assert [finding.kind for finding in found] == expected
    for finding in found:
        assert finding.summary.count("'GET /orders/{number}'") == 2


def test_taken_in_a_flow(watch: poolwatch.Watch, engine: Engine) -> None:
    """A connection that the first request took is that request's, whatever state it leaves it in."""
    kept: list[Connection] = []

    def use() -> None:
        if not kept:
            kept.append(engine.connect().execution_options(isolation_level=AUTOCOMMIT))
        kept[0].execute(text("select 1"))

    requests(use)
    with contextlib.closing(kept.pop()):
        assert "crossing.flow" in [finding.kind for finding in watch.findings()]


@pytest.mark.parametrize(("level", "expected"), [(SERIALIZABLE, ["crossing.interleaved"]), (AUTOCOMMIT, [])])
def test_turns(level: str, expected: list[str], watch: poolwatch.Watch, engine: Engine) -> None:
    """Threads that use one connection in turns mix their work, but not where nothing is left open between the turns."""
    whose = [0]

    def work(me: int) -> None:
        for _ in range(3):
            while whose[0] != me:
                time.sleep(0.001)
            connection.execute(text("select 1"))
            whose[0] = 1 - me

    with engine.connect().execution_options(isolation_level=level) as connection:
        threads = [threading.Thread(target=work, args=(me,)) for me in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [finding.kind for finding in watch.findings()] == expected
