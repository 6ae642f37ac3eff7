"""gql: a transport is closed while another task executes on it; some transports wait for it, and others do not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportClosed
from gql.transport.websockets import WebsocketsTransport

import poolwatch
from tests.servers import Server
from tests.servers.graphql import graphql
from tests.stories.judge import Json

SLOW = gql("query slow { slow(seconds: 0.3) }")
ANSWER = {"slow": "late"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a running GraphQL server."""
    with graphql() as running:
        yield running


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Iterator[poolwatch.Watch]:
    """Watch this process for one test, in strict mode unless the parameter says otherwise; no hook may fail."""
    watch = poolwatch.install(interval=60, strict=getattr(request, "param", True))
    yield watch
    assert watch.snapshot().process.hook_errors == {}
    watch.uninstall()


def _findings(watch: poolwatch.Watch) -> list[Json]:
    watch.findings()
    found: list[Json] = watch.report()["findings"]
    return found


async def _inside(watch: poolwatch.Watch, worker: asyncio.Task[Any]) -> None:
    """Wait until the worker has sent its query."""
    while not any(conn.inside for conn in watch._ledger.conns.values()):
        assert not worker.done()
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def _close_under(watch: poolwatch.Watch, transport: Any, cancel: bool = False) -> list[Any]:
    """Give what the worker and who closes the transport under it get; ``cancel`` gives the worker up meanwhile."""
    client = Client(transport=transport)
    session = await client.connect_async()
    worker = asyncio.create_task(session.execute(SLOW), name="worker")
    await _inside(watch, worker)
    stopper = asyncio.create_task(client.close_async(), name="stopper")
    if cancel:
        await asyncio.sleep(0.05)
        worker.cancel()
    got = await asyncio.gather(worker, stopper, return_exceptions=True)
    if isinstance(got[1], poolwatch.CrossingError):
        await transport.close()
    return got


async def _websocket(
    watch: poolwatch.Watch, server: Server, cls: Any, cancel: bool = False, **options: Any
) -> list[Any]:
    transport = cls(url=f"ws://{server.host}:{server.port}/graphql", **options)
    got = await _close_under(watch, transport, cancel)
    while transport.close_task is not None:  # gql has given up waiting for it
        await asyncio.sleep(0.01)
    return got


async def _http(watch: poolwatch.Watch, server: Server, **options: Any) -> list[Any]:
    return await _close_under(watch, AIOHTTPTransport(url=server.dsn, client_session_args=options))


@pytest.mark.parametrize("cls", [WebsocketsTransport, AIOHTTPWebsocketsTransport])
def test_a_close_that_waits_harms_nobody(server: Server, watch: poolwatch.Watch, cls: Any) -> None:
    """Closing a websocket waits for the running query, whose answer arrives: no finding, no error."""
    assert asyncio.run(_websocket(watch, server, cls)) == [ANSWER, None]
    assert (_findings(watch), watch.snapshot().leases) == ([], ())


@pytest.mark.filterwarnings("ignore:Unclosed client session:ResourceWarning")  # gql does not close that at all
def test_connector_of_the_application_is_left_open(server: Server, watch: poolwatch.Watch) -> None:
    """Where gql does not close the connections of an aiohttp session, whoever executes gets his answer."""

    async def main() -> list[Any]:
        async with aiohttp.TCPConnector() as connector:
            return await _http(watch, server, connector=connector, connector_owner=False)

    assert asyncio.run(main()) == [ANSWER, None]
    assert _findings(watch) == []


@pytest.mark.parametrize("cls", [WebsocketsTransport, AIOHTTPWebsocketsTransport])
def test_a_close_that_waited_too_short_is_told(server: Server, watch: poolwatch.Watch, cls: Any) -> None:
    """Who loses the connection after ``close_timeout`` is the victim, and sees gql's own error in strict mode too."""
    lost, closed = asyncio.run(_websocket(watch, server, cls, close_timeout=0.05))
    assert (type(lost), closed) == (TransportClosed, None)
    (finding,) = _findings(watch)
    assert (finding["kind"], finding["grade"], finding["count"]) == ("crossing.transport", "proved", 1)
    assert [str(owner["task"]).split()[0] for owner in finding["owners"]] == ["worker", "stopper"]
    assert "it closed the transport" in finding["summary"]
    assert watch.snapshot().leases == ()


def test_who_is_cancelled_is_no_victim(server: Server, watch: poolwatch.Watch) -> None:
    """A query that is given up while somebody waits for it in close has not lost its connection."""
    given_up, closed = asyncio.run(_websocket(watch, server, WebsocketsTransport, cancel=True))
    assert (type(given_up), closed) == (asyncio.CancelledError, None)
    assert (_findings(watch), watch.snapshot().leases) == ([], ())


def test_strict_refuses_a_close_that_does_not_wait(server: Server, watch: poolwatch.Watch) -> None:
    """An HTTP session is closed under whoever executes: the error comes before that, to who closes."""
    answer, refused = asyncio.run(_http(watch, server))
    assert answer == ANSWER
    assert isinstance(refused, poolwatch.CrossingError)


@pytest.mark.parametrize("watch", [False], indirect=True)
def test_a_close_that_does_not_wait_is_told(server: Server, watch: poolwatch.Watch) -> None:
    """Who sees "Server disconnected" is told who closed the transport."""
    lost, closed = asyncio.run(_http(watch, server))
    assert (type(lost).__name__, closed) == ("TransportConnectionFailed", None)
    (finding,) = _findings(watch)
    assert (finding["kind"], finding["count"]) == ("crossing.transport", 1)
    assert [str(owner["task"]).split()[0] for owner in finding["owners"]] == ["worker", "stopper"]
