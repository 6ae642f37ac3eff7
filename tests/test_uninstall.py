"""After uninstall nothing is left: no listener, no patched attribute, no finder, no exit function, no thread."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction, scoped_session
from sqlalchemy.pool import Pool, QueuePool

import poolwatch
from poolwatch.host.native import let_collector_go_on, with_collector_paused
from tests import launcher
from tests.launcher import kinds, reported, script

LEFT: list[Any] = []


def _family(root: type) -> Iterator[type]:
    yield root
    for child in root.__subclasses__():
        yield from _family(child)


def _classes() -> list[type]:
    roots = (Pool, Engine, DefaultDialect, Session, AsyncSession, SessionTransaction, scoped_session)
    return [found for root in roots for found in _family(root)]


def attributes() -> dict[str, Any]:
    """Give every function that somebody could have replaced, by name."""
    found: dict[str, Any] = {
        f"{cls.__module__}.{cls.__qualname__}.{name}": value
        for cls in _classes()
        for name, value in vars(cls).items()
        if isinstance(value, (FunctionType, classmethod, staticmethod, property))
    }
    return found | {"os._exit": os._exit, "os.fork": os.fork, "excepthook": sys.excepthook, "gc": tuple(gc.callbacks)}


def listeners() -> dict[str, list[Any]]:
    """Give every listener on the classes' event points."""
    found: dict[str, list[Any]] = {}
    for target in (Pool, QueuePool, Engine, DefaultDialect, Session):
        for name in dir(target.dispatch):  # type: ignore[attr-defined]
            point = getattr(target.dispatch, name, None)  # type: ignore[attr-defined]
            by_class = getattr(point, "_clslevel", None)
            if by_class is not None:
                found[f"{target.__name__}.{name}"] = [f for calls in by_class.values() for f in calls]
    return found


def registered() -> set[Any]:
    """Give the entries of SQLAlchemy's registry of listeners on classes; engines have entries of their own."""
    from sqlalchemy.event import registry

    classes = {id(cls) for cls in _classes()}
    return {key for key in registry._key_to_collection if key[0] in classes}


def threads() -> set[str]:
    """Give the ids of this process's threads as the system knows them."""
    return set(os.listdir("/proc/self/task"))


def settled_threads(wanted: set[str]) -> set[str]:
    """Give the threads, after waiting at most 2 s for those that just end."""
    until = time.monotonic() + 2
    while threads() - wanted and time.monotonic() < until:
        time.sleep(0.01)
    return threads()


@pytest.fixture(autouse=True)
def _no_watch() -> Iterator[None]:
    """Begin and end without a watch."""
    found = poolwatch.installed()
    if found is not None:
        found.uninstall()
    yield
    found = poolwatch.installed()
    if found is not None:
        found.uninstall()


def work(engine: Engine) -> int:
    """Use an engine in all hooked ways."""
    with engine.begin() as connection:
        connection.execute(text("select 1"))
    with Session(engine) as session:
        answer = session.scalar(text("select 2"))
    assert isinstance(answer, int)
    return answer


def test_nothing_is_left(tmp_path: Path) -> None:
    """Attributes, listeners, finders, exit functions, threads and collectors are those from before."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    work(engine)
    before = (attributes(), listeners(), list(sys.meta_path), len(REGISTRY._collector_to_names))
    keys, running, python_threads = registered(), threads(), threading.enumerate()
    for _ in range(3):
        watch = poolwatch.install(interval=0.01)
        assert attributes() != before[0]
        assert listeners() == before[1], "a listener of ours is in a list that the program may be going through"
        assert threads() > running
        work(engine)
        later = create_engine(f"sqlite:///{tmp_path}/shop.db")
        work(later)
        later.dispose()
        watch.findings()
        watch.uninstall()
        assert {k: v for k, v in attributes().items() if before[0].get(k) is not v and before[0].get(k) != v} == {}
        assert attributes().keys() == before[0].keys()
        after = (listeners(), list(sys.meta_path), len(REGISTRY._collector_to_names))
        assert after == before[1:]
        assert registered() <= keys
        assert settled_threads(running) == running
        assert threading.enumerate() == python_threads
    assert work(engine) == 2
    engine.dispose()


def test_nothing_is_left_where_sqlalchemy_comes_later(tmp_path: Path) -> None:
    """A watch that still waits for imports when it ends leaves the import system as it was."""
    program = """
import sys
before = list(sys.meta_path)
import poolwatch
from poolwatch.host.native import let_collector_go_on, with_collector_paused
watch = poolwatch.install()
assert "sqlalchemy" not in sys.modules
assert sys.meta_path != before
watch.uninstall()
assert sys.meta_path == before
import sqlalchemy
engine = sqlalchemy.create_engine("sqlite://")
assert not [f for f in sys.modules if f.startswith("poolwatch.hooks.sqlalchemy")]
with engine.connect() as connection:
    assert connection.scalar(sqlalchemy.text("select 1")) == 1
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_exit_after_uninstall_is_silent(tmp_path: Path) -> None:
    """A program that ends after uninstall, in whatever way, writes no report."""
    for ending in ("", "os._exit(0)", "sys.exit(0)"):
        program = f"import os, sys, poolwatch; poolwatch.install(report='report.json').uninstall(); {ending}"
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
        assert list(tmp_path.iterdir()) == []


def test_install_twice_is_one_watch(tmp_path: Path) -> None:
    """The second install gives the first watch, counts nothing twice, and one uninstall ends it."""
    first = poolwatch.install(interval=60)
    assert poolwatch.install() is first
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", logging_name="twice")
    engine.connect().close()
    assert [pool.checkouts_total for pool in first.snapshot().pools if pool.name == "twice"] == [1]
    first.uninstall()
    first.uninstall()
    assert poolwatch.installed() is None
    engine.dispose()


def test_install_after_uninstall_begins_anew(tmp_path: Path) -> None:
    """A new watch sees engines made before, between and after, and counts only from its own beginning."""
    engines = [create_engine(f"sqlite:///{tmp_path}/1.db", logging_name="before")]
    watch = poolwatch.install(interval=60)
    engines[0].connect().close()
    watch.uninstall()
    engines.append(create_engine(f"sqlite:///{tmp_path}/2.db", logging_name="between"))
    engines[1].connect().close()
    watch = poolwatch.install(interval=60)
    engines.append(create_engine(f"sqlite:///{tmp_path}/3.db", logging_name="after"))
    for engine in engines:
        engine.connect().close()
        engine.dispose()
    totals = {pool.name: pool.checkouts_total for pool in watch.snapshot().pools}
    assert {name: totals.get(name) for name in ("before", "between", "after")} == {
        "before": 1, "between": 1, "after": 1,
    }  # fmt: skip


def test_uninstall_while_leases_are_out(tmp_path: Path) -> None:
    """Leases that are out survive the end of a watch, and the next one is not confused by their return."""
    watch = poolwatch.install(interval=60)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", logging_name="held", pool_size=2, max_overflow=0)
    held, dropped = engine.connect(), engine.connect()
    held.execute(text("select 1"))
    watch.uninstall()
    held.execute(text("select 1"))
    watch = poolwatch.install(interval=60, grace=0)
    held.execute(text("select 1"))
    held.close()
    del dropped
    gc.collect()
    work(engine)
    assert {finding.kind for finding in watch.findings()} <= {"leak.collected"}  # true, whoever tells it
    (state,) = [pool for pool in watch.snapshot().pools if pool.name == "held"]
    assert (state.used, engine.pool.checkedout()) == (0, 0)  # type: ignore[attr-defined]
    assert watch.snapshot().process.hook_errors == {}
    engine.dispose()


def test_findings_stay_as_they_were(tmp_path: Path) -> None:
    """What was found before the end of a watch is still told after it, and nothing becomes of it any more."""
    watch = poolwatch.install(interval=60, grace=0)
    engine = create_engine(
        f"sqlite:///{tmp_path}/shop.db", logging_name="ended", connect_args={"check_same_thread": False}
    )
    held, dropped = engine.connect(), engine.connect()
    del dropped
    gc.collect()
    thread = threading.Thread(target=lambda: LEFT.append(engine.connect()))
    thread.start()
    thread.join()
    watch.uninstall()
    before = watch.findings()
    found = {(finding.kind, finding.state) for finding in before}
    assert found == {("leak.collected", "open"), ("leak.owner_ended", "open")}
    held.close()
    LEFT.pop().close()
    del held
    gc.collect()
    assert watch.findings() == before
    assert watch.snapshot().leases == ()
    engine.dispose()


def test_report_after_uninstall(tmp_path: Path) -> None:
    """What was out at the end of a watch, and is closed by the program later, is no finding of ``poolwatch run``."""
    app = script(
        tmp_path,
        """
        import poolwatch
        from sqlalchemy import create_engine
        engine = create_engine("sqlite:///shop.db")
        connection = engine.connect()
        poolwatch.installed().uninstall()
        connection.close()
        del connection
        """,
    )
    done = launcher.poolwatch("run", "--report", "report.json", "--", "python", app, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert kinds(reported(tmp_path / "report.json")) == []


def test_listener_of_the_application_stays(tmp_path: Path) -> None:
    """The application's own listeners and wrappers, made before or during, go on after."""
    calls: list[str] = []

    def checkout(connection: Any, record: Any, proxy: Any) -> None:
        calls.append("listener")

    event.listen(Pool, "checkout", checkout)
    watch = poolwatch.install(interval=60)
    ours = QueuePool._inc_overflow

    def wrapper(self: Any) -> Any:
        calls.append("wrapper")
        return ours(self)

    QueuePool._inc_overflow = wrapper  # type: ignore[method-assign]
    try:
        watch.uninstall()
        engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
        engine.connect().close()
        engine.dispose()
        assert calls == ["wrapper", "listener"]
    finally:
        event.remove(Pool, "checkout", checkout)
        QueuePool._inc_overflow = getattr(ours, "__wrapped__")  # noqa: B009


def test_the_hosts_collector_is_the_hosts() -> None:
    """What the host says to ``gc`` while the watcher looks holds afterwards, and what it does not say stays."""
    before = gc.get_threshold()
    with_collector_paused(gc.disable)
    try:
        assert not gc.isenabled()
        assert gc.get_threshold() == before
        with_collector_paused(gc.enable)
        assert gc.isenabled()
        with_collector_paused(lambda: gc.set_threshold(500, 5, 5))
        assert gc.get_threshold() == (500, 5, 5)
        meanwhile: list[Any] = []
        with_collector_paused(lambda: meanwhile.extend((gc.get_threshold(), let_collector_go_on(), gc.get_threshold())))
        ((resting, *others), _, after) = meanwhile
        assert (resting > 1_000_000, others) == (True, [5, 5])
        assert after == (500, 5, 5), "a child that is forked meanwhile collects"
        assert gc.get_threshold() == (500, 5, 5)
    finally:
        gc.set_threshold(*before)
        gc.enable()
    saved: list[tuple[int, int, int]] = []
    with_collector_paused(lambda: saved.append(gc.get_threshold()))
    gc.set_threshold(*saved[0])  # as whoever restores what he has read
    with_collector_paused(lambda: None)
    assert gc.isenabled()
    assert gc.get_threshold() == before


def test_install_and_uninstall_in_the_middle_of_events(tmp_path: Path) -> None:
    """Whoever goes through SQLAlchemy's listeners just then is not disturbed: none of them is ours."""
    seen: set[str] = set()

    def listen(target: Any, name: str) -> Callable[[], None]:
        def change(*_: object) -> None:
            seen.add(name)
            watch = poolwatch.installed()
            if watch is None:
                poolwatch.install(interval=60, protect_fork=True)
            else:
                for hook in ("checkout", "checkin", "connect", "close", "detach", "close_detached", "session"):
                    watch._guard.note(f"sqlalchemy.{hook}", ValueError())
                watch.findings()
                watch.uninstall()

        event.listen(target, name, change)
        return lambda: event.remove(target, name, change)

    names = ("connect", "checkout", "checkin", "close", "detach", "close_detached")
    removes = [listen(Pool, name) for name in names] + [listen(Session, "after_begin")]
    try:
        for _ in range(2):
            engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
            taken = engine.connect()
            taken.detach()
            taken.close()
            work(engine)
            engine.dispose()
            poolwatch.install(interval=60, protect_fork=True)  # the second time it is the other way round
    finally:
        for remove in removes:
            remove()
    assert seen == {*names, "after_begin"}
