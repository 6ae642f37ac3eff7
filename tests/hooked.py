"""One small program for each hook of ``hooks.table.TABLE``: a bit of all that is hooked, and what came of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import gevent
import pytest
from celery import Celery
from flask import Flask
from gql import Client, gql
from gql.transport.requests import RequestsHTTPTransport
from gunicorn.app.base import BaseApplication
from gunicorn.workers.sync import SyncWorker
from opentelemetry.sdk.trace import TracerProvider
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from uvicorn.config import Config

Ask = Callable[[str], Any]
"""Gives a fixture by name: a server where one is needed, or ``tmp_path``."""


def make_engine(folder: Path) -> Engine:
    """Make an engine on a file with two connections."""
    return create_engine(f"sqlite:///{folder}/shop.db", pool_size=1, max_overflow=1, pool_timeout=0.01)


def sqlalchemy(ask: Ask) -> list[Any]:
    """Lend, execute, wait, detach and invalidate."""
    engine = make_engine(ask("tmp_path"))
    seen: list[Any] = []
    with engine.begin() as connection:
        seen.append(connection.execute(text("select 1")).scalar())
        seen.append(connection.exec_driver_sql("create table if not exists orders (id integer)").rowcount)
        connection.execute(text("insert into orders values (:id)"), [{"id": 1}, {"id": 2}])
    with Session(engine) as session:
        seen.append(session.execute(text("select count(*) from orders")).scalar() % 2)
        session.rollback()
        session.commit()
        session.rollback()
    with engine.connect() as first, engine.connect() as second:
        with pytest.raises(PoolTimeout):
            engine.connect()
        seen.append((first.scalar(text("select 2")), second.scalar(text("select 3"))))
    taken = engine.connect()
    taken.detach()
    taken.close()
    taken = engine.connect()
    taken.invalidate()
    taken.close()
    seen.append((engine.pool.checkedin(), engine.pool.checkedout()))  # type: ignore[attr-defined]
    engine.dispose()
    return seen


def psycopg_pool(ask: Ask) -> list[Any]:
    """Lend and execute, sync and async."""

    async def waits() -> Any:
        async with AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False) as pool:
            async with pool.connection() as connection:
                found = await (await connection.execute("select 2")).fetchone()
            return found, pool.get_stats()["pool_available"]

    dsn = ask("postgres").dsn
    with ConnectionPool(dsn, min_size=1, max_size=1, open=True) as pool:
        with pool.connection() as connection:
            found = connection.execute("select 1").fetchone()
        return [found, pool.get_stats()["pool_available"], asyncio.run(waits())]


def asyncpg_pool(ask: Ask) -> list[Any]:
    """Lend and execute."""

    async def works() -> list[Any]:
        async with asyncpg.create_pool(
            ask("postgres").url("asyncpg").replace("+asyncpg", ""), min_size=1, max_size=1
        ) as pool:
            async with pool.acquire() as connection:
                found = await connection.fetchval("select 1")
            return [found, pool.get_idle_size()]

    return asyncio.run(works())


def gql_client(ask: Ask) -> list[Any]:
    """Execute on a transport."""
    client = Client(transport=RequestsHTTPTransport(url=ask("graphql_server").dsn))
    return [client.execute(gql("{ hello }"))]


async def _hello(request: Any) -> Any:
    return PlainTextResponse(f"hello {request.path_params['name']}")


def starlette(_: Ask) -> list[Any]:
    """Answer a request."""
    with TestClient(Starlette(routes=[Route("/hello/{name}", _hello)])) as client:
        return [client.get("/hello/you").text, client.get("/nowhere").status_code]


def uvicorn(_: Ask) -> list[Any]:
    """Load an application of no framework, and have it answer."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])

    config = Config(app, lifespan="off", log_config=None, interface="asgi3", proxy_headers=False)
    config.load()
    asyncio.run(config.loaded_app({"type": "http", "path": "/hello"}, None, None))  # type: ignore[arg-type]
    return seen


def flask(_: Ask) -> list[Any]:
    """Answer a request."""
    app = Flask("shop")
    app.add_url_rule("/hello/<name>", "hello", lambda name: f"hello {name}")
    client = app.test_client()
    return [client.get("/hello/you").text, client.get("/nowhere").status_code]


class _Server(BaseApplication):
    def load_config(self) -> None:
        """Take the defaults."""

    def load(self) -> Any:
        """Give an application of no framework."""

        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            return iter([environ["PATH_INFO"].encode()])

        return app


def gunicorn(_: Ask) -> list[Any]:
    """Load an application in a worker, and have it answer."""
    server = _Server()
    worker = SyncWorker(1, 1, [], server, 30, server.cfg, None)
    worker.load_wsgi()
    worker.tmp.close()
    body = worker.wsgi({"PATH_INFO": "/hello"}, None)
    return [list(body), getattr(body, "close", int)() or 0]


def celery(_: Ask) -> list[Any]:
    """Run a task."""
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(name="add")
    def add(a: int, b: int) -> int:
        return a + b

    return [add.apply((1, 2)).get()]


def executors(_: Ask) -> list[Any]:
    """Run work items."""
    with ThreadPoolExecutor(1) as executor:
        return list(executor.map(str, range(3)))


def threads(_: Ask) -> list[Any]:
    """Run a thread."""
    seen: list[Any] = []
    thread = threading.Thread(target=seen.append, args=(1,))
    thread.start()
    thread.join()
    return seen


def greenlets(_: Ask) -> list[Any]:
    """Run a greenlet."""
    return [gevent.spawn(lambda: 1).get()]


def opentelemetry(ask: Ask) -> list[Any]:
    """Take a connection inside a span."""
    engine = make_engine(ask("tmp_path"))
    with TracerProvider().get_tracer("shop").start_as_current_span("order"), engine.connect() as connection:
        seen = [connection.scalar(text("select 1"))]
    engine.dispose()
    return seen


def at_once(number: int, work: Callable[[], object]) -> None:
    """Run the same in some threads to the end."""
    running = [threading.Thread(target=work) for _ in range(number)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
