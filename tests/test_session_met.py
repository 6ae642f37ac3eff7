"""One Session in two hands: how often it is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import ORMExecuteState, Session

import poolwatch
from tests.servers import Server


@pytest.mark.parametrize("by", ["session", "connection"])
def test_each_intruder_is_told_once(watch: poolwatch.Watch, postgres: Server, by: str) -> None:
    """Whoever is met in a Session is not told of again for its connection; who goes there by himself is."""
    engine = create_engine(postgres.url("psycopg"))
    with Session(engine) as session:
        connection = session.connection()
        sleeper = threading.Thread(target=session.execute, args=(text("select pg_sleep(0.3)"),))
        sleeper.start()
        while not any(lease.conn.inside for lease in watch.leases_out()):
            assert sleeper.is_alive()
        (session if by == "session" else connection).execute(text("select 1"))  # type: ignore[attr-defined]
        sleeper.join()
    engine.dispose()
    counts = {finding.kind: finding.count for finding in watch.findings()}
    assert counts == {"crossing.session": 1, "crossing.concurrent": 1}


def _in_executor(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(work).result()


def _in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def _in_task(work: Callable[[], object]) -> None:
    async def waits() -> None:
        await asyncio.wait_for(asyncio.to_thread(work), 30)

    asyncio.run(waits())


@pytest.mark.parametrize("hand_over", [_in_executor, _in_thread, _in_task])
def test_what_is_waited_for_is_no_other_hand(
    watch: poolwatch.Watch, postgres: Server, hand_over: Callable[[Callable[[], object]], None]
) -> None:
    """A listener of the Session's may have somebody else do its work, while it waits."""
    engine = create_engine(postgres.url("psycopg"))
    with Session(engine) as session:

        @event.listens_for(session, "do_orm_execute")
        def elsewhere(state: ORMExecuteState) -> None:
            if state.execution_options.get("first"):
                hand_over(lambda: session.execute(text("select 2")))

        for _ in range(20):
            session.execute(text("select 1"), execution_options={"first": True})
    engine.dispose()
    assert not [finding for finding in watch.findings() if finding.kind.startswith("crossing.")]


def test_what_nobody_waits_for_is_another_hand(watch: poolwatch.Watch, postgres: Server) -> None:
    """A listener that does not wait for what it has begun lets two work on the Session."""
    engine = create_engine(postgres.url("psycopg"))
    with ThreadPoolExecutor(1) as executor, Session(engine) as session:
        session.connection()

        @event.listens_for(session, "do_orm_execute")
        def beside(state: ORMExecuteState) -> None:
            if state.execution_options.get("first"):
                executor.submit(session.execute, text("select pg_sleep(0.3)"))
                while not any(lease.conn.inside for lease in watch.leases_out()):
                    time.sleep(0.001)

        session.execute(text("select 1"), execution_options={"first": True})
    engine.dispose()
    assert "crossing.session" in {finding.kind for finding in watch.findings()}
