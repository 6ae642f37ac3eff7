"""Routes: who inherits them, who loses them, and which checkouts go against them."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from gql import Client
from graphql import build_schema
from greenlet import greenlet
from psycopg_pool import ConnectionPool
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

import poolwatch
from poolwatch.errors import CrossingError
from poolwatch.senses import marks
from tests.servers import Server


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine that is tagged as the primary."""
    engine = create_engine(f"sqlite:///{tmp_path}/primary.db")
    poolwatch.tag(engine, role="primary")
    yield engine
    engine.dispose()


def use(engine: Engine) -> None:
    """Take a connection and give it back."""
    with engine.connect() as connection:
        connection.execute(text("select 1"))


def in_thread(function: Any) -> None:
    """Run a function in a thread of its own."""
    thread = threading.Thread(target=function, name="child")
    thread.start()
    thread.join()


def routes(watch: poolwatch.Watch) -> list[poolwatch.Finding]:
    """Look, and give the findings, all of which must be of routes."""
    found = watch.findings()
    assert {finding.kind for finding in found} <= {"crossing.route"}
    return list(found)


def test_a_route_is_in_force_in_its_block() -> None:
    """Nested blocks merge; the mapping is read-only; all of it works where nothing is installed."""
    assert poolwatch.route() == {}
    with poolwatch.connected_to(role="replica", shard="eu"):
        with poolwatch.connected_to(shard="us") as inner:
            assert inner == poolwatch.route() == {"role": "replica", "shard": "us"}
        assert poolwatch.route() == {"role": "replica", "shard": "eu"}
        with pytest.raises(TypeError):
            poolwatch.route()["role"] = "primary"  # type: ignore[index]
    assert poolwatch.route() == {}


def test_who_inherits() -> None:
    """Tasks and asyncio.to_thread inherit; threads, work items and greenlets do through ``inherit``."""
    seen: list[Any] = []

    def note() -> None:
        seen.append(poolwatch.route().get("role"))

    async def tasks() -> None:
        async with poolwatch.connected_to(role="replica"):
            await asyncio.gather(asyncio.to_thread(note), noting())

    async def noting() -> None:
        note()

    asyncio.run(tasks())
    with poolwatch.connected_to(role="replica"), ThreadPoolExecutor(1) as pool:
        in_thread(poolwatch.inherit(note))
        pool.submit(poolwatch.inherit(note)).result()
        greenlet(poolwatch.inherit(note)).switch()
        asyncio.run(poolwatch.inherit(noting)())
        assert seen == ["replica"] * 6
        in_thread(note)
        pool.submit(note).result()
        greenlet(note).switch()
    assert seen[6:] == [None] * 3


def test_inherit_where_asked_for() -> None:
    """The option makes threads, work items and greenlets follow; without an installed poolwatch nothing does."""
    seen: list[Any] = []

    def note() -> None:
        seen.append(poolwatch.route().get("role"))

    watch = poolwatch.install(interval=60, inherit_routes=True)
    try:
        with ThreadPoolExecutor(1) as pool:
            with poolwatch.connected_to(role="replica"):
                in_thread(note)
                pool.submit(note).result()
                greenlet(note).switch()
                in_thread(lambda: in_thread(note))
            pool.submit(note).result()
    finally:
        watch.uninstall()
    assert seen == ["replica"] * 4 + [None]
    with poolwatch.connected_to(role="replica"):
        in_thread(note)
    assert seen[-1] is None


def rows(**route: object) -> Iterator[object]:
    """Yield what is in force in a block that is suspended meanwhile."""
    with poolwatch.connected_to(**route):
        while True:
            yield dict(poolwatch.route())


def test_blocks_that_do_not_end_in_order() -> None:
    """Of blocks in generators, exit stacks or fixtures each takes its own words out of the route, whenever it ends."""
    with poolwatch.connected_to(role="replica"):
        europe, america = rows(shard="eu", zone=1), rows(shard="us")
        assert next(europe) == {"role": "replica", "shard": "eu", "zone": 1}
        assert next(america) == {"role": "replica", "shard": "us", "zone": 1}
        europe.close()  # type: ignore[attr-defined]
        assert poolwatch.route() == {"role": "replica", "shard": "us"}
        with poolwatch.connected_to(zone=2):
            america.close()  # type: ignore[attr-defined]
            assert poolwatch.route() == {"role": "replica", "zone": 2}
        assert poolwatch.route() == {"role": "replica"}
    assert poolwatch.route() == {}


def test_a_block_that_others_end(primary: Engine, watch: poolwatch.Watch) -> None:
    """A generator that a thread, a task or somebody in another context ends leaves nothing behind for anybody."""
    generators = [rows(shard="eu"), rows(shard="eu")]
    for generator in generators:
        next(generator)
    in_thread(generators[0].close)  # type: ignore[attr-defined]
    poolwatch.inherit(generators[1].close)()  # type: ignore[attr-defined]
    assert poolwatch.route() == {}

    async def each() -> Any:
        async with poolwatch.connected_to(role="replica"):
            while True:
                yield 1

    async def main() -> None:
        async for _ in each():
            break
        gc.collect()  # its finalizer starts a task, which inherits what it ends
        while poolwatch.route():
            await asyncio.sleep(0)
        greenlet(use).switch(primary)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert routes(watch) == []


def test_what_inherits_outlives_the_block() -> None:
    """A task that was started in a block keeps its route when the block is over."""
    seen: list[Any] = []

    async def note(start: asyncio.Event) -> None:
        await start.wait()
        seen.append(dict(poolwatch.route()))

    async def main() -> None:
        start = asyncio.Event()
        with poolwatch.connected_to(role="replica"):
            child = asyncio.create_task(note(start))
        assert poolwatch.route() == {}
        start.set()
        await child

    asyncio.run(main())
    assert seen == [{"role": "replica"}]


def test_a_suspended_block_is_in_force_for_its_consumer(watch: poolwatch.Watch, primary: Engine) -> None:
    """What contextlib makes of a generator needs that; who only iterates is told that the route is in force."""

    @contextmanager
    def on_replica() -> Iterator[None]:
        with poolwatch.connected_to(role="replica"):
            yield

    with on_replica():
        assert poolwatch.route() == {"role": "replica"}
    assert poolwatch.route() == {}
    for _ in zip([1], rows(role="replica"), strict=False):
        use(primary)
    gc.collect()
    assert poolwatch.route() == {}
    (finding,) = routes(watch)
    assert "in force" in finding.summary


def test_what_inherits() -> None:
    """Whatever gives a coroutine inherits in it; a generator, whose body runs later, is refused."""
    seen: list[Any] = []

    class Handler:
        async def __call__(self) -> None:
            seen.append(poolwatch.route().get("role"))

    def passes_on() -> Any:
        return Handler()()

    with poolwatch.connected_to(role="replica"):
        inherited = [poolwatch.inherit(work) for work in (Handler(), passes_on)]
        with pytest.raises(TypeError, match="generator: inherit what goes through it"):
            poolwatch.inherit(rows)
    for work in inherited:
        asyncio.run(work())
    assert seen == ["replica"] * 2
    assert poolwatch.route() == {}


def test_lost_in_a_thread(watch: poolwatch.Watch, primary: Engine) -> None:
    """A child thread without its parent's route that reads from the contradicting pool is one proved finding."""
    with poolwatch.connected_to(role="replica"):
        for _ in range(2):
            in_thread(lambda: use(primary))
    (finding,) = routes(watch)
    assert (finding.grade, finding.count) == ("proved", 2)
    assert [owner.thread for owner in finding.owners] == ["child", "MainThread"]
    assert finding.site is not None
    assert finding.site.function == "use"
    assert "role=replica" in finding.summary
    assert "role=primary" in finding.summary
    assert finding.stacks["last_use"][-1:]


@pytest.mark.parametrize("how", ["executor", "greenlet", "gevent"])
def test_lost_elsewhere(watch: poolwatch.Watch, primary: Engine, how: str) -> None:
    """Work items and greenlets lose the route like threads do."""
    with poolwatch.connected_to(role="replica"):
        if how == "executor":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(use, primary).result()
        elif how == "greenlet":
            greenlet(use).switch(primary)
        else:
            import gevent

            gevent.spawn(use, primary).join()
    (finding,) = routes(watch)
    assert len(finding.owners) == 2


def test_not_lost(watch: poolwatch.Watch, primary: Engine, tmp_path: Path) -> None:
    """No route, no tag, another word, a route of the child's own, a worker that outlives the block: no finding."""
    untagged = create_engine(f"sqlite:///{tmp_path}/untagged.db")
    use(primary)
    with ThreadPoolExecutor(1) as pool:
        with poolwatch.connected_to(role="replica"):
            in_thread(lambda: use(untagged))
            pool.submit(use, untagged).result()  # its thread begins under the route
            with poolwatch.connected_to(role="primary"):
                in_thread(lambda: use(primary))
            in_thread(lambda: of_its_own(primary))
        pool.submit(use, primary).result()
        with poolwatch.connected_to(shard="eu"):
            pool.submit(use, primary).result()
            greenlet(use).switch(primary)
    untagged.dispose()
    assert routes(watch) == []


def of_its_own(engine: Engine) -> None:
    """Choose the route in the child."""
    with poolwatch.connected_to(role="primary"):
        use(engine)


def test_against_the_route_in_force(watch: poolwatch.Watch, primary: Engine) -> None:
    """A checkout in the very context of the route needs no child; an uninstalled poolwatch says nothing."""
    with poolwatch.connected_to(role="replica"):
        use(primary)
    (finding,) = routes(watch)
    assert "in force" in finding.summary
    watch.uninstall()
    with poolwatch.connected_to(role="replica"):
        use(primary)


def test_async_engine(watch: poolwatch.Watch, postgres: Server) -> None:
    """A task inherits the route and is judged by it, also behind SQLAlchemy's greenlets."""

    async def main() -> None:
        engine = create_async_engine(postgres.url("asyncpg"))
        poolwatch.tag(engine, role="primary")
        with poolwatch.connected_to(role="primary"):
            await asyncio.gather(select(engine), select(engine))
        assert routes(watch) == []
        with poolwatch.connected_to(role="replica"):
            await asyncio.gather(select(engine))
        await engine.dispose()

    async def select(engine: Any) -> None:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))

    asyncio.run(main())
    assert len(routes(watch)) == 1


def test_asyncpg_pool(watch: poolwatch.Watch, postgres: Server) -> None:
    """A pool of asyncpg is judged at every acquire, also while it has idle connections."""

    async def main() -> None:
        async with asyncpg.create_pool(postgres.url("asyncpg").replace("+asyncpg", ""), min_size=1) as pool:
            poolwatch.tag(pool, role="primary")
            with poolwatch.connected_to(role="primary"):
                await pool.fetchval("select 1")
            assert routes(watch) == []
            with poolwatch.connected_to(role="replica"):
                await pool.fetchval("select 1")

    asyncio.run(main())
    assert len(routes(watch)) == 1


def test_strict_raises_at_the_checkout(watch: poolwatch.Watch, primary: Engine, postgres: Server) -> None:
    """A strict pool refuses the checkout and loses no slot."""
    poolwatch.strict(primary)
    with poolwatch.connected_to(role="replica"), pytest.raises(CrossingError, match="role=replica"):
        primary.connect()
    assert primary.pool.checkedout() == 0  # type: ignore[attr-defined]
    use(primary)
    with ConnectionPool(postgres.dsn, min_size=1, max_size=1) as pool:
        poolwatch.tag(pool, role="primary")
        poolwatch.strict(pool)
        with poolwatch.connected_to(role="replica"), pytest.raises(CrossingError, match="role=replica"):
            pool.getconn()
        with pool.connection() as connection:
            connection.execute("select 1")
    assert watch.snapshot().leases == ()


def test_tags_stay(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """A tag holds over dispose(), given to a pool, an engine made later or a disposed one; it keeps nothing alive."""
    engine = create_engine(f"sqlite:///{tmp_path}/replica.db")
    engine.dispose()
    poolwatch.tag(engine, role="replica")
    engine.dispose()
    by_hand = QueuePool(lambda: sqlite3.connect(":memory:"))
    poolwatch.tag(by_hand, role="replica")
    with poolwatch.connected_to(role="primary"):
        use(engine)
        by_hand.connect().close()
    assert len(routes(watch)) == 2
    before = len(marks._marks)
    engine.dispose()
    by_hand.dispose()
    del engine, by_hand
    gc.collect()
    assert len(marks._marks) < before


def test_what_is_no_pool_is_refused() -> None:
    """tag() and strict() want a pool, and tag() at least one word: nobody believes in vain that strict mode is on."""
    for wrong in (
        7,
        object(),
        Session(),
        sessionmaker(),
        Session,
        QueuePool,
        Client(schema=build_schema("type Query { a: Int }")),
    ):
        with pytest.raises(TypeError, match=r"a \w+ is not a SQLAlchemy engine or pool, a psycopg pool or an open"):
            poolwatch.tag(wrong, role="replica")
        with pytest.raises(TypeError, match=r"a \w+ is not a SQLAlchemy engine or pool, a psycopg pool or an open"):
            poolwatch.strict(wrong)
    with pytest.raises(TypeError, match="at least one word"):
        poolwatch.tag(object())


def test_one_block_entered_by_many() -> None:
    """A route of a module that two threads enter at once is over for each when he leaves it."""
    replica = poolwatch.connected_to(role="replica")
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    routes: dict[str, object] = {}

    def first() -> None:
        with replica:
            first_in.set()
            assert second_in.wait(30)
        routes["first"] = dict(poolwatch.route())
        first_out.set()

    def second() -> None:
        assert first_in.wait(30)
        with replica:
            second_in.set()
            assert first_out.wait(30)
            routes["second, inside"] = dict(poolwatch.route())
        routes["second"] = dict(poolwatch.route())

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert routes == {"first": {}, "second, inside": {"role": "replica"}, "second": {}}
