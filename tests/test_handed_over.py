"""What counts as handed over: whatever a living frame reaches, by whatever way, and what lies in a queue."""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys
import textwrap
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import greenlet
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

import poolwatch
from poolwatch.evidence import gather, reach
from tests.living import living

LEFT: dict[str, Any] = {}


class Handle:
    """Stands for a connection."""


class Registry:
    """Has an attribute on the class, as plain programs keep their one connection."""

    handle: Handle | None = None


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no walk end early on a busy machine, and begin and end with nothing left behind."""
    monkeypatch.setattr(reach, "_MAX_SECONDS", 30.0)
    monkeypatch.setattr(reach, "_MODULES", (10_000_000, 12))  # nor in a process that has a thousand tests behind it
    yield
    LEFT.clear()
    Registry.handle = None


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine whose connections any thread may use."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    yield engine
    engine.dispose()


def is_reached(make: Callable[[Handle], object]) -> bool:
    """Tell whether a handle is found in what was made of it, in a local variable of a thread that lives."""
    keys: list[int] = []

    def work(stay: Callable[[], None]) -> None:
        kept = make(new(keys))
        stay()
        del kept

    with living(work):
        return reach.by_living_frames(set(keys))[0] == set(keys)


def new(keys: list[int]) -> Handle:
    """Make a handle and note its id."""
    handle = Handle()
    keys.append(id(handle))
    return handle


def with_default(handle: Handle) -> object:
    """Make a function that has a handle as a default."""

    def close(given: Handle = handle) -> Handle:
        return given

    return close


def with_keyword(handle: Handle) -> object:
    """Make a function that has a handle as the default of a keyword."""

    def close(*, given: Handle = handle) -> Handle:
        return given

    return close


def in_generator(handle: Handle) -> object:
    """Make a generator that is suspended with a handle in a local variable."""

    def rows(given: Handle) -> Iterator[int]:
        yield 1
        assert given

    generator = rows(handle)
    next(generator)
    return generator


def many_numbers(handle: Handle) -> object:
    """Put a handle beside more numbers than a walk takes steps."""
    return [list(range(2 * reach.LIVING[0])), [[[handle]]]]


def behind(names: int) -> Callable[[Handle], object]:
    """Put a handle behind so many names."""

    def make(handle: object) -> object:
        for _ in range(names):
            handle = SimpleNamespace(inner=handle)
        return handle

    return make


WAYS: dict[str, Callable[[Handle], object]] = {
    "key": lambda handle: {handle: "https://example.com"},
    "closure": lambda handle: lambda: handle,
    "closure in an attribute": lambda handle: SimpleNamespace(close=lambda: handle),
    "closure in a deque": lambda handle: deque([lambda: handle]),
    "default": with_default,
    "keyword's default": with_keyword,
    "partial": lambda handle: partial(print, handle),
    "bound method": lambda handle: SimpleNamespace(handle=handle).__repr__,
    "generator": in_generator,
    "beside many numbers": many_numbers,
    "12 names": behind(12),
}


@pytest.mark.parametrize("make", WAYS.values(), ids=WAYS.keys())
def test_a_living_frame_reaches(make: Callable[[Handle], object]) -> None:
    """A handle that somebody alive has inside something else is in good hands."""
    assert is_reached(make)


def test_too_many_names() -> None:
    """Beyond 12 names nobody looks."""
    assert not is_reached(behind(13))


def test_sessions_deep_down(engine: Engine) -> None:
    """A Session three objects deep is found from a living frame, and named where a module's list keeps one."""
    keys: list[int] = []

    def session() -> Session:
        made = Session(engine)
        keys.append(id(made.connection().connection))
        return made

    def work(stay: Callable[[], None]) -> None:
        app = SimpleNamespace(services={"orders": SimpleNamespace(repository=SimpleNamespace(session=session()))})
        stay()
        app.services["orders"].repository.session.close()

    with living(work):
        LEFT["seen"] = [session()]
        assert reach.by_living_frames(set(keys))[0] == {keys[0]}
        path = reach.by_modules({keys[1]})[keys[1]].path
    assert path.startswith(f"{__name__}.LEFT['seen'][0]._transaction")
    LEFT["seen"].pop().close()


def test_class_attribute_is_named() -> None:
    """A handle on a class is named by module, class and attribute."""
    Registry.handle = Handle()
    key = id(Registry.handle)
    assert reach.by_modules({key})[key] == (f"{__name__}.Registry.handle", *[False] * 6)


@pytest.mark.parametrize(
    "kind", [queue.Queue, queue.LifoQueue, queue.PriorityQueue, queue.SimpleQueue, asyncio.Queue, list]
)
def test_what_lies_in_a_queue(kind: Any, engine: Engine) -> None:
    """What a thread that ended has put into a module's queue is on its way; what it put into a list was left."""
    watch = poolwatch.install(interval=60, grace=0)
    try:
        LEFT["jobs"] = kind()
        put = LEFT["jobs"].append if kind is list else LEFT["jobs"].put_nowait
        thread = threading.Thread(target=lambda put: put((1, engine.connect())), args=[put])
        del put
        thread.start()
        thread.join()
        assert [finding.kind for finding in watch.findings()] == (["leak.owner_ended"] if kind is list else [])
    finally:
        jobs = LEFT["jobs"]
        (jobs.pop() if kind is list else jobs.get_nowait())[1].close()
        watch.uninstall()


def test_suspended_greenlets(engine: Engine) -> None:
    """A greenlet that is suspended holds what is in its locals: one in somebody's hands, and those above who runs."""
    watch = poolwatch.install(interval=60)
    keys: list[int] = []

    def consume() -> None:
        handle = new(keys)
        greenlet.getcurrent().parent.switch()
        del handle

    def run() -> set[int]:
        engine.connect().close()  # makes this greenlet known, and by it those above
        mine = new(keys)
        found = reach.by_living_frames(set(keys))[0]
        assert mine
        return found

    def main() -> set[int]:
        consumer, above = greenlet.greenlet(consume), new(keys)
        consumer.switch()
        found: set[int] = greenlet.greenlet(run).switch()
        assert above
        consumer.switch()
        return found

    try:
        assert main() == set(keys)
        assert len(keys) == 3
    finally:
        watch.uninstall()


def test_gevent(tmp_path: Path) -> None:
    """What an ended greenlet took and the main or another greenlet holds is handed over; what a list keeps is not."""
    pytest.importorskip("gevent")
    program = """
        from gevent import monkey
        monkey.patch_all()
        import gevent, poolwatch
        from gevent.event import AsyncResult, Event
        from sqlalchemy import create_engine
        watch = poolwatch.install(interval=60, grace=0)
        engine = create_engine("sqlite:///shop.db", connect_args={"check_same_thread": False})
        there, finish, left = Event(), Event(), []

        def hold(box):
            conn, box = box.get(), None
            there.set()
            finish.wait()
            conn.close()

        def look():
            print([finding.kind for finding in watch.findings()])

        def main():
            box = AsyncResult()
            gevent.spawn(hold, box)
            gevent.spawn(lambda box: box.set(engine.connect()), box).join()
            del box
            there.wait()
            conn = gevent.spawn(engine.connect).get()
            gevent.spawn(look).join()
            gevent.spawn(lambda: left.append(engine.connect())).join()
            gevent.spawn(look).join()
            finish.set()
            gevent.sleep(0)
            conn.close()

        main()
        left.pop().close()
        engine.dispose()
        """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["[]", "['leak.owner_ended']"]


def test_walk_cut_short(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there was too much to look through the finding says so, and is a suspicion."""
    assert reach.by_living_frames({id(engine)}) == ({id(engine)}, True, set())
    monkeypatch.setattr(reach, "LIVING", (100, 12))
    assert not reach.by_living_frames({1})[1]
    watch = poolwatch.install(interval=60, grace=0)
    try:
        thread = threading.Thread(target=lambda: LEFT.update(conn=engine.connect()))
        thread.start()
        thread.join()
        (finding,) = watch.findings()
        assert (finding.kind, finding.grade) == ("leak.owner_ended", "suspected")
        assert "too much to look through" in finding.summary
        assert finding.retained_by[0].startswith(f"{__name__}.LEFT['conn']")
    finally:
        LEFT["conn"].close()
        watch.uninstall()


def test_a_second_look_goes_further(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspicion for want of time becomes more, once the next walk has come to the end."""
    monkeypatch.setattr(reach, "LIVING", (1, 12))
    monkeypatch.setattr(gather, "_SECOND_EFFORT", 10_000_000)
    monkeypatch.setattr(gather, "_FIRST_WAIT", 0.0)
    watch = poolwatch.install(interval=60, grace=0)
    try:
        thread = threading.Thread(target=lambda: LEFT.update(conn=engine.connect()))
        thread.start()
        thread.join()
        assert [finding.grade for finding in watch.findings()] == ["suspected"]
        assert [finding.grade for finding in watch.findings()] == ["probable"]
    finally:
        LEFT["conn"].close()
        watch.uninstall()
