"""gql: what the stories do not show: who is named, strict mode, failing hooks, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportConnectionFailed
from gql.transport.requests import RequestsHTTPTransport
from gql.transport.websockets import WebsocketsTransport

import poolwatch
from poolwatch.hooks.gql import lines, moments
from tests.servers import Server
from tests.servers.graphql import graphql
from tests.stories.judge import Json

HELLO = gql("query hello { hello }")
SLOW = gql("query slow { slow(seconds: 0.4) }")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a running GraphQL server."""
    with graphql() as running:
        yield running


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Iterator[poolwatch.Watch]:
    """Watch this process for one test; the parameter are options."""
    gc.collect()  # what is left of earlier tests would be seen
    watch = poolwatch.install(interval=0.05, **getattr(request, "param", {}))
    yield watch
    watch.uninstall()


def _findings(watch: poolwatch.Watch) -> list[Json]:
    watch.findings()
    found: list[Json] = watch.report()["findings"]
    return found


def _pools(watch: poolwatch.Watch) -> list[Json]:
    """Give the pools of gql alone: an engine of another test may live."""
    return [pool for pool in watch.report()["pools"] if pool["library"] == "gql"]


async def _two_tasks(url: str) -> list[Any]:
    client = Client(transport=AIOHTTPTransport(url=url))

    async def first() -> Any:
        async with client as session:
            return await session.execute(SLOW)

    async def second() -> Any:
        await asyncio.sleep(0.1)
        async with client as session:
            return await session.execute(HELLO)

    tasks = [asyncio.create_task(first(), name="first"), asyncio.create_task(second(), name="second")]
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_culprit_and_victim_are_named(server: Server, watch: poolwatch.Watch) -> None:
    """The task that connects again is the culprit, also where gql's closing makes the innocent one fail."""
    url = server.dsn
    asyncio.run(_two_tasks(url))
    (finding,) = _findings(watch)
    assert (finding["kind"], finding["grade"], finding["count"]) == ("crossing.transport", "proved", 1)
    assert [owner["task"].split()[0] for owner in finding["owners"]] == ["first", "second"]
    assert "second" in finding["summary"].partition("while")[0]
    assert finding["site"]["function"].endswith("first")
    assert [frames[0]["function"].rpartition(".")[2] for frames in _stacks(finding)] == ["first", "second"]


def _stacks(finding: Json) -> list[Any]:
    return [finding["stacks"]["checkout"], finding["stacks"]["last_use"]]


@pytest.mark.parametrize("watch", [{"strict": True}], indirect=True)
def test_strict_protects_the_victim(server: Server, watch: poolwatch.Watch) -> None:
    """In strict mode the second connect raises, and the transport is not closed under the first."""
    mine, theirs = asyncio.run(_two_tasks(server.dsn))
    assert mine == {"slow": "late"}
    assert isinstance(theirs, poolwatch.CrossingError)
    assert _pools(watch)[0]["used"] == 0


def test_pool_has_no_secrets_and_no_twins(server: Server, watch: poolwatch.Watch) -> None:
    """Clients of one URL are one pool, named without credentials and query."""
    for _ in range(3):
        url = f"http://user:hunter2@{server.host}:{server.port}/graphql?token=hunter2"
        Client(transport=RequestsHTTPTransport(url=url)).execute(HELLO)
    (pool,) = _pools(watch)
    assert pool["name"] == f"{server.host}:{server.port}/graphql"
    assert (pool["library"], pool["class"]) == ("gql", "RequestsHTTPTransport")
    assert (pool["used"], pool["checkouts_total"], pool["connects_total"]) == (0, 3, 3)
    assert "hunter2" not in str(watch.report())


def test_lease_tells_what_it_does(server: Server, watch: poolwatch.Watch) -> None:
    """A connected session is a lease with its operation, uses and busy time."""
    with Client(transport=RequestsHTTPTransport(url=server.dsn)) as session, ThreadPoolExecutor(1) as executor:
        session.execute(HELLO)
        executor.submit(session.execute, SLOW).result()
        (lease,) = watch.snapshot().leases
        assert (lease.statements, lease.last_statement) == (2, "slow")
        assert lease.busy_seconds >= 0.4
        assert lease.owner.thread == "MainThread" != lease.user.thread
    assert _findings(watch) == watch.report()["leases"] == []


def test_own_transport_is_seen_once(server: Server, watch: poolwatch.Watch) -> None:
    """A transport class of the application's own, whose methods call gql's, takes one lease."""

    class Own(RequestsHTTPTransport):
        def connect(self) -> None:
            super().connect()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            return super().execute(*args, **kwargs)

    with Client(transport=Own(url=server.dsn)) as session:
        session.execute(HELLO)
        (lease,) = watch.report()["leases"]
        assert lease["site"]["function"] == "test_own_transport_is_seen_once"
    (pool,) = _pools(watch)
    assert (pool["class"], pool["used"], pool["checkouts_total"]) == ("Own", 0, 1)


async def _reconnect(url: str) -> None:
    client = Client(transport=WebsocketsTransport(url=url))
    session = await client.connect_async(reconnecting=True, retry_execute=False)
    for _ in range(3):
        await session.execute(HELLO)
        await client.transport.adapter.close()
        with pytest.raises(TransportConnectionFailed):
            await session.execute(HELLO)
        await asyncio.sleep(0.3)
    await session.execute(HELLO)
    await client.close_async()


def test_reconnecting_is_one_lease(server: Server, watch: poolwatch.Watch) -> None:
    """However often a permanent session connects, it is one lease, and nobody is blamed."""
    asyncio.run(_reconnect(f"ws://{server.host}:{server.port}/graphql"))
    assert _findings(watch) == []
    (pool,) = _pools(watch)
    assert (pool["checkouts_total"], pool["used"]) == (1, 0)


@pytest.mark.parametrize("broken", ["line_of", "lend", "pass_on", "end", "own_strand"])
def test_failing_hook_harms_nobody(
    server: Server, watch: poolwatch.Watch, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Whatever raises in the hook is counted, and gql works as without it."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(moments if broken == "own_strand" else lines, broken, fail)
        client = Client(transport=RequestsHTTPTransport(url=server.dsn))
        session = client.connect_sync()
        with ThreadPoolExecutor(1) as executor:
            assert executor.submit(session.execute, HELLO).result() == {"hello": "world"}
        client.close_sync()
        watch.findings()
    assert watch.report()["processes"][0]["hook_errors"]["gql"] >= 1
    assert client.execute(HELLO) == {"hello": "world"}


def test_uninstall_leaves_no_trace(server: Server) -> None:
    """After uninstall the classes are as they were."""
    classes = (Client, RequestsHTTPTransport, AIOHTTPTransport, WebsocketsTransport)
    before = [dict(vars(cls)) for cls in (*classes, *WebsocketsTransport.__mro__)]
    watch = poolwatch.install()
    for transport in classes[1:3]:
        Client(transport=transport(url=server.dsn))
    watch.uninstall()
    assert [dict(vars(cls)) for cls in (*classes, *WebsocketsTransport.__mro__)] == before


def test_nothing_is_retained(server: Server, watch: poolwatch.Watch) -> None:
    """Clients that were closed, and those that were dropped, leave the ledger."""
    ledger = watch._ledger
    before = len(ledger.pools)
    for number in range(200):
        client = Client(transport=RequestsHTTPTransport(url=server.dsn))
        client.connect_sync()
        if number % 2:
            client.close_sync()
    del client
    gc.collect()
    (finding,) = _findings(watch)
    assert (finding["kind"], finding["count"]) == ("leak.collected", 100)
    assert [len(ledger.conns), len(ledger.pools), watch.report()["leases"]] == [0, before + 1, []]


def test_connecting_at_once_is_one_lease(server: Server, watch: poolwatch.Watch) -> None:
    """Of many threads that connect at the same moment one has the lease, and the others are reported."""
    client = Client(transport=RequestsHTTPTransport(url=server.dsn))
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        try:
            client.execute(SLOW)
        except Exception:
            return

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kinds = {finding["kind"] for finding in _findings(watch)}
    assert kinds == {"crossing.transport"}
    assert _pools(watch)[0]["used"] == 0
