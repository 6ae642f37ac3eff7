"""Which line a connection is said to be taken at, where a library takes it for the application."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import TimeoutError

import poolwatch
from poolwatch.model import Site

LIBRARY = """
import asyncio, threading

def connect(engine, frames=0):
    return connect(engine, frames - 1) if frames else engine.connect()

def call(function):
    return function()

async def acquire(engine):
    await asyncio.sleep(0)
    return engine.connect()

def in_thread(engine, taken):
    thread = threading.Thread(target=lambda: taken.append(connect(engine)))
    thread.start()
    thread.join()

async def in_task(engine):
    return await asyncio.create_task(acquire(engine))
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Install a package of somebody else's."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "shelf.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("shelf")
    del sys.modules["shelf"]


@pytest.fixture
def engine(tmp_path: Path, watch: poolwatch.Watch) -> Iterator[Engine]:
    """Give an engine of one connection, which any thread may use."""
    url, any_thread = f"sqlite:///{tmp_path}/shop.db", {"check_same_thread": False}
    engine = create_engine(url, pool_size=1, max_overflow=0, connect_args=any_thread)
    yield engine
    engine.dispose()


def site(watch: poolwatch.Watch, connection: Connection) -> Site:
    """Give the line where the one connection that is out was taken, and give it back."""
    (lease,) = watch.snapshot().leases
    connection.close()
    assert lease.site is not None
    return lease.site


def name(found: Site) -> tuple[str, str]:
    """Give file and function of a line."""
    return Path(found.file).name, found.function.rpartition(".")[2]


def line() -> int:
    """Give the line of the caller."""
    return sys._getframe(1).f_lineno


def test_each_line_of_the_application(library: Any, watch: poolwatch.Watch, engine: Engine) -> None:
    """What a library takes for two lines of the application is taken at those lines, by turns and at any depth."""
    found, expected = [], []
    for frames in (0, 0, 3, 0):
        found.append(site(watch, library.connect(engine, frames)).line)
        expected.append(line() - 1)
        found.append(site(watch, library.connect(engine, frames)).line)
        expected.append(line() - 1)
    assert found == expected


def test_nearest_frame_of_the_application(library: Any, watch: poolwatch.Watch, engine: Engine) -> None:
    """One line that calls now a library, now by way of it a function of the application, is not both of them."""

    def take() -> Connection:
        return engine.connect()

    ways: list[Callable[[], Connection]] = [lambda: library.connect(engine), lambda: library.call(take)]
    found = [name(site(watch, way())) for way in ways * 2]
    assert found == [("test_sites.py", "<lambda>"), ("test_sites.py", "take")] * 2


def test_frames_between_are_kept(library: Any, watch: poolwatch.Watch, engine: Engine) -> None:
    """The library's frames stand first in the stack of a finding, before the line of the application."""
    kept: list[Connection] = []
    thread = threading.Thread(target=lambda: kept.append(library.connect(engine, 1)))
    thread.start()
    thread.join()
    (finding,) = watch._watcher.look(final=True)[0][1:]
    stack = [(Path(frame.file).name, frame.library) for frame in finding.stacks["checkout"][:3]]
    assert stack == [("shelf.py", True), ("shelf.py", True), ("test_sites.py", False)]
    assert finding.site is not None
    assert name(finding.site) == ("test_sites.py", "<lambda>")
    kept.pop().close()


def test_who_waits(library: Any, watch: poolwatch.Watch, engine: Engine) -> None:
    """Who waits for the pool by way of a library waits at a line of the application, too."""
    short = create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with short.connect(), pytest.raises(TimeoutError):
        library.connect(short, 2)
    (waits,) = [finding for finding in watch.findings() if finding.kind.startswith("starvation")]
    assert [waiter["site"].rpartition(" ")[2] for waiter in waits.lease["waiters"]] == ["test_who_waits"]  # type: ignore[index, union-attr]
    short.dispose()


def test_what_a_library_takes_by_itself(library: Any, watch: poolwatch.Watch, engine: Engine) -> None:
    """A thread or task of the library's own takes at the library's line, a coroutine at the line that awaits it."""
    taken: list[Connection] = []
    library.in_thread(engine, taken)
    assert name(site(watch, taken.pop())) == ("shelf.py", "connect")

    async def main() -> list[tuple[str, str]]:
        own = name(site(watch, await library.in_task(engine)))
        return [own, name(site(watch, await library.acquire(engine)))]

    assert asyncio.run(main()) == [("shelf.py", "acquire"), ("test_sites.py", "main")]


def test_who_starts_a_program(library: Any, watch: poolwatch.Watch, engine: Engine) -> None:
    """Far out stands who started a framework, and in a console script who started a program: neither takes."""
    assert name(site(watch, library.connect(engine, 9))) == ("test_sites.py", "test_who_starts_a_program")
    assert name(site(watch, library.connect(engine, 10))) == ("shelf.py", "connect")
    script = os.path.join(sysconfig.get_path("scripts"), "shelf")
    names: dict[str, Any] = {"connect": library.connect, "engine": engine}
    exec(compile("def main():\n    return connect(engine)", script, "exec"), names)
    assert name(site(watch, names["main"]())) == ("test_sites.py", "test_who_starts_a_program")


def test_an_application_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """A package that was installed from its folder, as in a container, is no library, whoever starts it."""
    folder = tmp_path / "site-packages"
    note = folder / "orders-1.0.dist-info"
    (folder / "orders" / "gql").mkdir(parents=True)
    note.mkdir()
    (folder / "orders" / "gql" / "rows.py").write_text("def take(engine):\n    return engine.connect()\n")
    (note / "RECORD").write_text("orders/gql/rows.py,sha256=x,5\norders-1.0.dist-info/RECORD,,\n../../bin/orders,,\n")
    (note / "INSTALLER").write_text("pip\n")
    (note / "direct_url.json").write_text('{"dir_info": {}, "url": "file:///src/orders"}')
    (folder / "broken-1.0.dist-info").mkdir()
    (folder / "broken-1.0.dist-info" / "direct_url.json").write_text("null")
    monkeypatch.syspath_prepend(str(folder))
    watch = poolwatch.installed()
    assert watch is not None
    rows = importlib.import_module("orders.gql.rows")
    assert name(site(watch, rows.take(engine))) == ("rows.py", "take")


def test_what_an_installed_package_keeps(library: Any, watch: poolwatch.Watch, engine: Engine) -> None:
    """A package that takes connections by itself may keep them in its modules, as an application does."""
    library.KEPT = []
    library.in_thread(engine, library.KEPT)
    (finding,) = watch._watcher.look(final=True)[0][1:]
    assert (finding.kind, finding.retained_by) == ("leak.owner_ended", ("shelf.KEPT[0]._dbapi_connection",))
    library.KEPT.pop().close()
