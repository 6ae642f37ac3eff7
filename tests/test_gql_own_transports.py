"""gql: transports of the application's own, which hand gql's calls on in tasks and threads that they wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.requests import RequestsHTTPTransport
from gql.transport.websockets import WebsocketsTransport

import poolwatch
from tests.servers import Server
from tests.servers.graphql import graphql
from tests.stories.judge import Json

HELLO = gql("query hello { hello }")
SLOW = gql("query slow { slow(seconds: 0.4) }")
WATCH = {"interval": 60, "strict": True}
Runs = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a running GraphQL server."""
    with graphql() as running:
        yield running


class _Tasks:
    """Runs each call of an async transport in a task of its own, as ``wait_for`` does before Python 3.12."""

    async def connect(self) -> None:
        await asyncio.create_task(super().connect())  # type: ignore[misc]

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.create_task(super().execute(*args, **kwargs))  # type: ignore[misc]

    async def close(self) -> None:
        await asyncio.create_task(super().close())  # type: ignore[misc]


class _OwnHTTP(_Tasks, AIOHTTPTransport):
    """HTTP."""


class _OwnWebsocket(_Tasks, WebsocketsTransport):
    """A websocket."""


def _in_executor(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(call).result()


def _in_thread(call: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results.pop()


def _own_sync(url: str, runs: Runs) -> RequestsHTTPTransport:
    class Own(RequestsHTTPTransport):
        def connect(self) -> None:
            runs(super().connect)

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            base = super()
            return runs(lambda: base.execute(*args, **kwargs))

        def close(self) -> None:
            runs(super().close)

    return Own(url=url)


def _findings(watch: poolwatch.Watch) -> list[Json]:
    watch.findings()
    found: list[Json] = watch.report()["findings"]
    return found


@pytest.mark.parametrize("runs", [_in_executor, _in_thread])
def test_calls_in_threads(server: Server, watch: poolwatch.Watch, runs: Runs) -> None:
    """What a class hands on to a thread that it waits for is its own call: one lease, one statement each."""
    with Client(transport=_own_sync(server.dsn, runs)) as session:
        for _ in range(2):
            session.execute(HELLO)
        (lease,) = watch.snapshot().leases
        assert (lease.statements, lease.last_statement, lease.owner.thread) == (2, "hello", "MainThread")
    assert (_findings(watch), watch.snapshot().leases) == ([], ())


@pytest.mark.parametrize("cls", [_OwnHTTP, _OwnWebsocket])
def test_calls_in_tasks(server: Server, watch: poolwatch.Watch, cls: Any) -> None:
    """The same for tasks, on a session that several execute on, and connects one after another."""
    scheme = "ws" if cls is _OwnWebsocket else "http"

    async def main() -> None:
        transport = cls(url=f"{scheme}://{server.host}:{server.port}/graphql")
        for _ in range(2):
            async with Client(transport=transport) as session:
                await asyncio.gather(*(session.execute(HELLO) for _ in range(3)))
                (lease,) = watch.snapshot().leases
                assert lease.owner.kind == "task"

    asyncio.run(main())
    assert (_findings(watch), watch.snapshot().leases) == ([], ())


def test_shared_by_threads_is_told_once(server: Server) -> None:
    """Two threads on such a transport are a crossing as on any other, and each intruder is counted once."""
    watch = poolwatch.install(interval=60)
    try:
        with Client(transport=_own_sync(server.dsn, _in_executor)) as session:
            inside = threading.Thread(target=session.execute, args=(SLOW,), name="inside")
            inside.start()
            line = next(conn for conn in watch._ledger.conns.values() if conn.lease is not None)
            while line.inside is None:
                assert inside.is_alive()
            session.execute(HELLO)
            inside.join()
        (finding,) = _findings(watch)
        assert (finding["kind"], finding["count"]) == ("crossing.transport", 1)
        assert [owner["thread"] for owner in finding["owners"]] == ["inside", "MainThread"]
    finally:
        watch.uninstall()


def test_second_connect_is_told_once(server: Server) -> None:
    """Who connects such a transport again is reported once, with what came of it."""
    watch = poolwatch.install(interval=60)
    client = Client(transport=_OwnHTTP(url=server.dsn))

    async def execute(query: Any) -> None:
        async with client as session:
            await session.execute(query)

    async def main() -> None:
        first = asyncio.create_task(execute(SLOW), name="first")
        await asyncio.sleep(0.1)
        await asyncio.gather(first, asyncio.create_task(execute(HELLO), name="second"), return_exceptions=True)

    try:
        asyncio.run(main())
        (finding,) = _findings(watch)
        assert (finding["kind"], finding["count"]) == ("crossing.transport", 1)
        assert [str(owner["task"]).split()[0] for owner in finding["owners"]] == ["first", "second"]
        assert finding["summary"].count("and closed it") == 1
    finally:
        watch.uninstall()
