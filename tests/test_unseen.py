"""Who keeps a handle where no frame shows it: locals of living threads, contexts, and what Python does not show."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

import poolwatch
from poolwatch.evidence.unseen import kept_out_of_sight
from tests.living import living

HERE = threading.local()
STATE: contextvars.ContextVar[list[Any]] = contextvars.ContextVar("state")


class Kept:
    """Keeps something."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def close(self) -> None:
        """Do nothing: only reached by who is kept."""


@pytest.fixture
def watch(patient_walks: None) -> Iterator[poolwatch.Watch]:
    """Watch this process, without looking by itself; let no walk end early."""
    watch = poolwatch.install(interval=60, grace=0)
    yield watch
    watch.uninstall()
    HERE.__dict__.clear()


@pytest.fixture
def engine(tmp_path: Path, watch: poolwatch.Watch) -> Iterator[Engine]:
    """Give an engine whose connections any thread may use."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    yield engine
    engine.dispose()


def leave(work: Callable[[], object]) -> None:
    """Let a thread do something, and end."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def found(watch: poolwatch.Watch) -> list[tuple[str, str]]:
    """Give kind and grade of what is found."""
    return [(finding.kind, finding.grade) for finding in watch.findings()]


def test_locals_of_a_living_thread(watch: poolwatch.Watch, engine: Engine) -> None:
    """What an ended thread has put into the locals of one that lives was handed over."""
    HERE.kept = Kept(None)
    leave(partial(lambda kept: setattr(kept, "handle", engine.connect()), HERE.kept))
    assert found(watch) == []
    HERE.kept.handle.close()


def test_locals_of_the_own_thread(watch: poolwatch.Watch, engine: Engine) -> None:
    """What an ended task has left in the locals of its thread is nobody's: there is no other thread's work in it."""

    async def work() -> None:
        HERE.kept = engine.connect()

    async def main() -> None:
        await asyncio.create_task(work())
        await asyncio.sleep(0)  # its end is told after that of what waits for it
        assert found(watch) == [("leak.owner_ended", "probable")]

    asyncio.run(main())
    HERE.kept.close()


def test_only_atexit_keeps_it(watch: poolwatch.Watch, engine: Engine) -> None:
    """A connection that will be closed at the exit is a suspicion: the finding says that something unknown keeps it."""
    closes: list[Any] = []

    def opens() -> None:
        connection = engine.connect()
        closes.append(weakref.WeakMethod(connection.close))
        atexit.register(connection.close)

    leave(opens)
    (finding,) = watch.findings()
    assert (finding.kind, finding.grade, finding.retained_by) == ("leak.owner_ended", "suspected", ())
    assert "Something that Python does not show keeps it" in finding.summary
    atexit.unregister(closes[0]())
    assert found(watch) == [("leak.collected", "proved")], "now nobody does"


def test_only_a_context_keeps_it(watch: poolwatch.Watch, engine: Engine) -> None:
    """So it is with what lies in the context of a thread that lives."""

    def work(stay: Callable[[], None]) -> None:
        STATE.set([])
        leave(partial(contextvars.copy_context().run, lambda: STATE.get().append(engine.connect())))
        stay()
        STATE.get().pop().close()

    with living(work):
        assert found(watch) == [("leak.owner_ended", "suspected")]


def test_a_cycle_is_no_secret(watch: poolwatch.Watch, engine: Engine) -> None:
    """A Session that only its own cycle keeps is a leak, and stays one."""

    def opens() -> None:
        session = Session(engine)
        session.connection()
        session.info["me"] = session

    gc.disable()
    try:
        leave(opens)
        assert found(watch) == [("leak.owner_ended", "probable")]
    finally:
        gc.enable()
        gc.collect()


def test_each_handle_has_its_own_keepers() -> None:
    """Of handles looked at together only those are unseen that something unknown keeps, through whatever."""
    hidden, shown = Kept({"a": [Kept(None)]}), Kept(Kept(None))
    shown.handle.handle = shown
    close = weakref.WeakMethod(hidden.close)
    atexit.register(hidden.close)
    keys = id(hidden.handle["a"][0]), id(shown.handle)
    handles = [hidden.handle["a"][0], shown.handle]
    del hidden, shown
    try:
        assert kept_out_of_sight(handles) == {keys[0]}
    finally:
        atexit.unregister(close())  # type: ignore[arg-type]
