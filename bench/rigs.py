"""What is measured beside SQLAlchemy: the drivers' own pools, a GraphQL request, and a request to a web application.

A rig does its operation once when called, and tells whether poolwatch is in it. It is made inside the mode.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import sqlalchemy

from bench import exporters, tracing
from bench.cases import ACQUIRE, CHECKOUT, GETCONN, GQL, REQUEST, SCRAPED, SENT, SPANS, Case, open_engine
from poolwatch.watch import installed


@dataclass(frozen=True, slots=True)
class Rig:
    """One operation, ready to be done, and whether poolwatch saw it or stands where it would see it."""

    once: Callable[[], Any]
    watched: Callable[[], bool]


Sync = Callable[[str], AbstractContextManager[Rig]]
Async = Callable[[str], AbstractAsyncContextManager[Rig]]


def is_wrapped(owner: Any, name: str) -> bool:
    """Tell whether somebody stands in front of a method."""
    return hasattr(getattr(owner, name), "__wrapped__")


@contextmanager
def getconn(dsn: str) -> Iterator[Rig]:
    """Take a connection from a psycopg pool and put it back."""
    from psycopg_pool import ConnectionPool

    with ConnectionPool(dsn, min_size=1, max_size=1, open=True) as pool:
        pool.wait()
        yield Rig(lambda: pool.putconn(pool.getconn()), lambda: is_wrapped(ConnectionPool, "getconn"))


@asynccontextmanager
async def getconn_async(dsn: str) -> AsyncIterator[Rig]:
    """Do the same with an async pool."""
    from psycopg_pool import AsyncConnectionPool

    async with AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False) as pool:
        await pool.wait()

        async def once() -> None:
            await pool.putconn(await pool.getconn())

        yield Rig(once, lambda: is_wrapped(AsyncConnectionPool, "getconn"))


@asynccontextmanager
async def acquire(dsn: str) -> AsyncIterator[Rig]:
    """Acquire a connection of an asyncpg pool and release it, which asks the server to reset it."""
    import asyncpg

    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:

        async def once() -> None:
            await pool.release(await pool.acquire())

        yield Rig(once, lambda: is_wrapped(asyncpg.pool.Pool, "_acquire"))


@contextmanager
def gql_request(url: str) -> Iterator[Rig]:
    """Send one query over HTTP and read its answer."""
    from gql import Client, gql
    from gql.transport.requests import RequestsHTTPTransport

    query = gql("query answer { slow(seconds: 0) }")
    with Client(transport=RequestsHTTPTransport(url=url)) as session:
        yield Rig(lambda: session.execute(query), lambda: is_wrapped(RequestsHTTPTransport, "execute"))


@asynccontextmanager
async def asgi_request(url: str) -> AsyncIterator[Rig]:
    """Call a Starlette application as a server would."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def order(request: Any) -> PlainTextResponse:
        return PlainTextResponse("1")

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        """Take what a server would send."""

    app = Starlette(routes=[Route("/orders/{id}", order)])
    head: dict[str, Any] = {"type": "http", "method": "GET", "path": "/orders/7", "query_string": b"", "headers": []}

    def once() -> Awaitable[None]:
        return app(dict(head), receive, send)

    yield Rig(once, lambda: is_wrapped(Starlette, "__call__"))


@contextmanager
def wsgi_request(url: str) -> Iterator[Rig]:
    """Call a Flask application as a server would."""
    from flask import Flask
    from werkzeug.test import EnvironBuilder

    app = Flask("bench")
    app.add_url_rule("/orders/<int:id>", "order", lambda id: "1")
    head = EnvironBuilder("/orders/7").get_environ()

    def start_response(status: str, headers: object, error: object = None, /) -> Any:
        """Take what a server would send."""

    def once() -> None:
        body: Any = app(dict(head), start_response)
        for _ in body:
            pass
        body.close()

    yield Rig(once, lambda: is_wrapped(Flask, "__call__"))


def in_span(share: float) -> Sync:
    """Give the rig that checks a connection out inside a span, of which so many are sampled (0 to 1)."""

    @contextmanager
    def rig(url: str) -> Iterator[Rig]:
        from opentelemetry import context, trace

        tracing.set_up()
        engine = open_engine(Case(CHECKOUT, url, False, 1))
        every = round(1 / share) if share else 0
        sampled, other = (
            trace.set_span_in_context(tracing.tracer_provider(on).get_tracer("bench").start_span("request"))
            for on in (True, False)
        )
        number = count(1).__next__

        def once() -> None:
            token = context.attach(sampled if every and number() % every == 0 else other)
            engine.pool.connect().close()
            context.detach(token)

        try:
            yield Rig(once, lambda: installed() is not None)
        finally:
            engine.dispose()

    return rig


@contextmanager
def scraped(url: str) -> Iterator[Rig]:
    """Check a connection out while Prometheus scrapes."""
    engine = open_engine(Case(CHECKOUT, url, False, 1))
    try:
        with exporters.scraped() as proof:
            yield Rig(lambda: engine.pool.connect().close(), proof)
    finally:
        engine.dispose()


def sent(share: float) -> Sync:
    """Give the rig of ``in_span`` whose spans and metrics are sent."""

    @contextmanager
    def rig(url: str) -> Iterator[Rig]:
        with in_span(share)(url) as plain, exporters.sent() as proof:
            yield Rig(plain.once, proof)

    return rig


SYNC: dict[str, Sync] = {
    GETCONN: getconn,
    GQL: gql_request,
    REQUEST: wsgi_request,
    **{operation: in_span(share) for share, operation in SPANS.items()},
    SCRAPED: scraped,
    **{operation: sent(share) for share, operation in SENT.items()},
}
ASYNC: dict[str, Async] = {GETCONN: getconn_async, ACQUIRE: acquire, REQUEST: asgi_request}


def open_rig(case: Case) -> AbstractContextManager[Rig]:
    """Make the rig of a sync case."""
    return SYNC[case.operation](_plain_url(case))


def open_async_rig(case: Case) -> AbstractAsyncContextManager[Rig]:
    """Make the rig of an async case."""
    return ASYNC[case.operation](_plain_url(case))


def _plain_url(case: Case) -> str:
    """Give the URL as the library itself takes it: without the name of a driver or transport."""
    url = sqlalchemy.make_url(case.url)
    scheme = "http" if url.get_backend_name() == "graphql" else url.get_backend_name()
    return url.set(drivername=scheme).render_as_string(hide_password=False)
