"""Who keeps a handle alive: a living frame, a module's name, a dead traceback; within bounds, and without a trace."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine

import poolwatch
from poolwatch.evidence import liveness, reach

CACHE: dict[str, Any] = {}


class Handle:
    """Stands for a connection."""


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """Begin and end with an empty cache."""
    CACHE.clear()
    yield
    CACHE.clear()


class Service:
    """Keeps a handle in an attribute."""

    def __init__(self, handle: Handle) -> None:
        self.session = handle


def holding(handle_box: list[Handle], ready: threading.Event, finish: threading.Event) -> None:
    """Hold a handle in a local variable of a living thread."""
    handle = handle_box.pop()
    ready.set()
    finish.wait(10)
    del handle


def test_living_frame_holds() -> None:
    """A handle in a local variable of a thread that lives is found there; when the thread is over it is not."""
    box, ready, finish = [Handle()], threading.Event(), threading.Event()
    key = id(box[0])
    thread = threading.Thread(target=holding, args=(box, ready, finish))
    thread.start()
    ready.wait(10)
    assert reach.by_living_frames({key})[0] == {key}
    finish.set()
    thread.join()
    assert reach.by_living_frames({key})[0] == set()


def test_raw_connection_handed_over_is_no_leak(tmp_path: Path) -> None:
    """A connection of the pool itself, in a local variable of a living thread, was handed over by the ended one."""
    watch = poolwatch.install(interval=60, grace=0)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    box: list[Any] = []
    ready, finish = threading.Event(), threading.Event()
    taker = threading.Thread(target=lambda: box.append(engine.raw_connection()))
    taker.start()
    taker.join()
    holder = threading.Thread(target=holding, args=(box, ready, finish))
    holder.start()
    ready.wait(10)
    try:
        assert [finding.kind for finding in watch.findings()] == []
    finally:
        finish.set()
        holder.join()
        watch.uninstall()
        engine.dispose()


def test_module_names_it() -> None:
    """A handle in a list of a dictionary of a module is named by the path to it, and is held by no frame."""
    CACHE["conn"] = [Service(Handle())]
    key = id(CACHE["conn"][0].session)
    path, only_dead, *_ = reach.by_modules({key})[key]
    assert path.startswith(f"{__name__}.CACHE['conn'][0]")
    assert path.endswith(".session")
    assert not only_dead
    assert reach.by_living_frames({key})[0] == set()


@pytest.mark.parametrize("key", ["session-4711", "bob@example.com", "t" * 41])
def test_what_may_be_data_is_not_shown(key: str) -> None:
    """A key that is no short name is not shown: findings go to logs, chats and collectors."""
    CACHE[key] = [Service(Handle())]
    wanted = id(CACHE[key][0].session)
    assert reach.by_modules({wanted})[wanted].path.startswith(f"{__name__}.CACHE[<str>][0]")
    del CACHE[key]


def test_living_task_holds_no_globals(tmp_path: Path) -> None:
    """A task that lives reaches what its coroutine has in hand, and not the globals of its module."""
    watch = poolwatch.install(interval=60)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool)

    async def main() -> None:
        engine.connect().close()  # makes the loop known
        mine = CACHE["mine"] = Handle()
        other = CACHE["other"] = Handle()
        keys = {id(mine), id(other)}
        del other
        found, *_ = await asyncio.to_thread(reach.by_living_frames, keys)
        assert found == {id(mine)}

    asyncio.run(main())
    engine.dispose()
    watch.uninstall()


def test_dead_traceback_holds() -> None:
    """A handle that only the traceback of a caught exception keeps is said to be kept by the dead."""

    def work() -> None:
        handle = Handle()
        keys.append(id(handle))
        raise ValueError

    keys: list[int] = []
    try:
        work()
    except ValueError as error:
        CACHE["error"] = error
    path, only_dead, *_ = reach.by_modules({keys[0]})[keys[0]]
    assert only_dead
    assert "traceback" in path


def test_depth_and_budget_bound_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handle too deep is not found, a huge structure does not make the walk long."""
    nested: Any = Handle()
    key = id(nested)
    for _ in range(30):
        nested = [nested]
    CACHE["deep"] = nested
    assert reach.by_modules({key}) == {}
    CACHE["wide"] = [[number] for number in range(300_000)]
    began = time.thread_time()
    assert reach.by_modules({key}) == {}
    assert time.thread_time() - began < 2 * reach._MAX_SECONDS + 1


def test_walk_retains_nothing() -> None:
    """A local variable that is rebound after a walk lets its old value go, also where frames keep dictionaries."""
    ready, step, done = threading.Event(), threading.Event(), threading.Event()
    refs: list[weakref.ref[Handle]] = []

    def work() -> None:
        handle: Handle | None = Handle()
        refs.append(weakref.ref(handle))  # type: ignore[arg-type]
        ready.set()
        step.wait(10)
        handle = None
        done.set()
        ready.clear()
        time.sleep(0.3)
        assert handle is None

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(10)
    for _ in range(3):
        reach.by_living_frames({1})
        reach.by_modules({1})
    step.set()
    done.wait(10)
    assert refs[0]() is None
    thread.join()


def test_what_a_caller_goes_on_to_read() -> None:
    """A function that calls another is found where it is, behind the first part of its call's step too."""

    def called() -> list[object] | None:
        return liveness.still_held(sys._getframe(1))

    def calls() -> tuple[list[object] | None, Handle]:
        dropped, kept = Handle(), Handle()
        assert dropped
        found = called()
        return found, kept

    found, kept = calls()
    assert [one for one in found or () if type(one) is Handle] == [kept]


@pytest.mark.parametrize("leases", [0, 50])
def test_watcher_runs_no_finalizer_of_the_application(leases: int, tmp_path: Path) -> None:
    """What the application drops is finalized by its own thread, however busy the watcher is: SQLite insists on it."""
    threads: list[int] = []

    class Late:
        def __del__(self) -> None:
            threads.append(threading.get_ident())

    watch = poolwatch.install(interval=0.01, grace=0)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=50, connect_args={"check_same_thread": False})
    try:
        taken = [engine.connect() for _ in range(leases)]
        for _ in range(20):
            for _ in range(20):
                cycle: list[Any] = [Late()]
                cycle.append(cycle)
                del cycle
            time.sleep(0.05)  # the application waits, the watcher does not
        gc.collect()
        for connection in taken:
            connection.close()
    finally:
        watch.uninstall()
        engine.dispose()
    assert len(threads) == 400
    assert set(threads) == {threading.get_ident()}
