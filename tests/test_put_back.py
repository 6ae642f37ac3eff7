"""Connections that one thread opened and all take from a queue: who keeps one is told of, who puts it back is not."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.requests import RequestsHTTPTransport
from sqlalchemy import create_engine, text

import poolwatch
from poolwatch.evidence import reach
from tests.servers import Server
from tests.servers.graphql import graphql

pytestmark = pytest.mark.usefixtures("patient_walks")

WATCH = {"interval": 60, "grace": 0.05}
HELLO = gql("query hello { hello }")
FREE: Queue[Any] = Queue()
KEPT: list[Any] = []
NAMED: dict[str, Any] = {}
Work = Callable[[Any], object]
Opened = tuple[list[Any], Work]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a running GraphQL server."""
    with graphql() as running:
        yield running


@pytest.fixture(params=["gql", "sqlalchemy"])
def opened(request: pytest.FixtureRequest, watch: poolwatch.Watch, tmp_path: Path) -> Iterator[Opened]:
    """Give three connections from one line, and what a thread does with one."""
    if request.param == "sqlalchemy":
        engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
        yield [engine.connect() for _ in range(3)], lambda connection: connection.execute(text("select 1")).scalar()
        for left in (*KEPT, *NAMED.values(), *FREE.queue):
            left.close()
        gc.collect()  # what a test had in hand goes back, and is closed with the rest
        engine.dispose()
    else:
        server: Server = request.getfixturevalue("server")
        yield [connected(server.dsn) for _ in range(3)], lambda client: client.session.execute(HELLO)
    KEPT.clear()
    NAMED.clear()
    FREE.queue.clear()


def connected(url: str) -> Client:
    """Give a client that is connected; nobody else has it."""
    client = Client(transport=RequestsHTTPTransport(url=url))
    client.connect_sync()  # type: ignore[no-untyped-call]
    return client


def fill(opened: Opened) -> Work:
    """Put all into the queue, so that nobody else has them; gives the work."""
    connections, work = opened
    while connections:
        FREE.put(connections.pop())
    return work


def clerk_of(work: Work) -> Callable[[], None]:
    """Give a job that takes one from the queue, uses it and puts it back."""

    def clerk() -> None:
        mine = FREE.get()
        work(mine)
        FREE.put(mine)

    return clerk


def run(*jobs: Callable[[], object]) -> None:
    """Run each job in a thread that ends, and wait until they have been gone for longer than ``grace``."""
    threads = [threading.Thread(target=job, name=job.__name__) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2 * WATCH["grace"])


def leaks(watch: poolwatch.Watch) -> list[poolwatch.Finding]:
    """Look, and give what is open."""
    return [finding for finding in watch.findings() if finding.state == "open"]


def test_taken_from_a_queue_and_kept(opened: Opened, watch: poolwatch.Watch) -> None:
    """Who used it last and ended is named, with the list where it left it; back in the queue all is well."""
    work = fill(opened)
    clerk = clerk_of(work)

    def thief() -> None:
        mine = FREE.get()
        work(mine)
        KEPT.append(mine)

    run(clerk, clerk, clerk)
    assert leaks(watch) == []
    run(thief, clerk)
    until = time.monotonic() + 30
    while not leaks(watch) and time.monotonic() < until:
        time.sleep(0.05)  # who was looked for a moment ago is not at once looked for again
    (finding,) = leaks(watch)
    assert (finding.kind, finding.grade, finding.count) == ("leak.owner_ended", "probable", 1)
    assert [(owner.thread, owner.alive) for owner in finding.owners] == [("MainThread", True), ("thief", False)]
    assert finding.summary.startswith("Thread thief")
    assert finding.retained_by[0].startswith(f"{__name__}.KEPT[0]")
    FREE.put(KEPT.pop())
    run(clerk, clerk, clerk)
    assert leaks(watch) == []


def test_put_under_a_name_it_serves(opened: Opened, watch: poolwatch.Watch) -> None:
    """One that has a name of its own is there for whoever comes, as one that somebody alive has in hand."""
    work = fill(opened)
    run(*[clerk_of(work)] * 3)
    mine = FREE.get()

    def serve() -> None:
        NAMED["admin"] = FREE.get()
        work(NAMED["admin"])

    def lend() -> None:
        work(mine)

    run(serve, lend)
    assert leaks(watch) == []


def test_a_list_is_no_queue(opened: Opened, watch: poolwatch.Watch) -> None:
    """An application that has all of them in a list, and never in a queue, uses each where it lies."""
    connections, work = opened
    KEPT.extend(connections)
    connections.clear()

    def clerk() -> None:
        for mine in KEPT:
            work(mine)

    run(clerk)
    assert leaks(watch) == []


def test_who_uses_it_now_and_then_is_walked_to_seldom(
    opened: Opened, watch: poolwatch.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that a thread per request uses is looked for at growing intervals, not each time that such a thread ends."""
    work = fill(opened)
    walks: list[set[int]] = []
    walk = reach.by_living_frames

    def counted(targets: set[int], effort: int = 1) -> reach.Living:
        walks.append(targets)
        assert effort == 1
        return walk(targets, effort)

    monkeypatch.setattr(reach, "by_living_frames", counted)

    def serve() -> None:
        work(FREE.queue[0])
        watch.findings()  # here who uses it lives

    began = time.monotonic()
    for _ in range(5):
        run(serve)
        assert leaks(watch) == []
    assert 1 <= len(walks) <= 1 + (time.monotonic() - began)
