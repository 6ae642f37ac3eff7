"""What lies in a module's names and is read later: in the hands of whoever will read it, or there for all who come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import scoped_session

import poolwatch
from poolwatch.evidence import reach
from tests.living import living

LEFT: list[Connection] = []
left: Connection

pytestmark = pytest.mark.usefixtures("patient_walks")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine whose connections any thread may use."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    yield engine
    while LEFT:
        LEFT.pop().close()
    engine.dispose()


SCRIPTS = {
    "read later": ("conn = connect()\nstay()\nconn.close()", True),
    "read later by a function's call": ("conn = connect()\nstay()\nprint(conn, end='')", True),
    "in a list": ("conns = [connect()]\nstay()\nconns[0].close()", False),
    "not read again": ("conn = connect()\nconn.close\nstay()", False),
    "in an object": (
        "class App:\n  def close(self): self.db.close()\napp = App()\napp.db = connect()\nstay()\napp.close()",
        True,
    ),
    "read in the loop": (
        "conn = None\nfor turn in (1, 2):\n  if conn: conn.close()\n  if turn == 1:\n    conn = connect()\n    stay()",
        True,
    ),
    "read in an earlier loop": ("for turn in (1, 2):\n  conn = connect()\n  conn.close\nstay()", False),
}
"""What runs as a module, and whether what it stays with counts as in its hands."""


@pytest.mark.parametrize(("source", "counts"), SCRIPTS.values(), ids=SCRIPTS.keys())
def test_names_of_a_running_script(source: str, counts: bool, engine: Engine) -> None:
    """A connection in a plain name of a script is in its hands as long as the script goes on to read that name."""

    def connect() -> Any:
        LEFT.append(engine.connect())
        keys.append(id(LEFT[-1].connection))
        return LEFT[-1]

    keys: list[int] = []
    with living(lambda stay: exec(compile(source, "app.py", "exec"), {"connect": connect, "stay": stay})):
        assert reach.by_living_frames({keys[-1]})[0] == ({keys[-1]} if counts else set())


CLASSES = """
class Shop: pass
class Slots:
    __slots__ = ["c"]
    def __init__(self, c): self.c = c
    def close(self): self.c.close()
    def count(self): return len(self.c)
class Database(Slots):
    pass
@contextmanager
def lend(connect):
    with connect() as connection: yield connection
"""
FUNCTIONS = {
    "a global": ("db = connect()", "db.close()", True),
    "an attribute": ("app.db = connect()", "app.db.close()", True),
    "a deep attribute": ("app.state = make(db=connect())", "print(app.state.db, end='')", True),
    "a class's attribute": ("Shop.db = connect()", "Shop.db.close()", True),
    "another attribute": ("app.db, app.log = connect(), print", "app.log(end='')", False),
    "in a dictionary": ("app.all = {'db': connect()}", "app.all['db'].close()", False),
    "an object's": ("db = Database(connect())", "db.close()", True),
    "of an object that is passed on": ("db = Database(connect())", "print(db, end='')", True),
    "of an object with slots": ("db = Slots(connect())", "db.close()", True),
    "of an object within another": ("app.db = Database(connect())", "app.db.close()", True),
    "another attribute of an object": ("db = Database(connect()); db.log = print", "db.log(end='')", False),
    "in an object's list": ("db = Database([connect()])", "db.count()", False),
    "entered in a stack of contexts": ("stack = ExitStack(); stack.enter_context(connect())", "stack.close()", True),
    "a generator's, entered": ("lent = lend(connect); lent.__enter__()", "lent.__exit__(None, None, None)", True),
    "a registry's": ("app.db = make(inner=connect()); app.all = registry(app.db)", "app.all.remove()", False),
}
"""How a connection is put away in globals, how a function that runs goes on, and whether it is in that one's hands."""


@pytest.mark.parametrize(("put", "rest", "counts"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_names_that_a_running_function_reads(put: str, rest: str, counts: bool, engine: Engine) -> None:
    """A connection in a global, or in plain attributes below one, is in the hands of a function that will read it."""
    keys: list[int] = []

    def connect() -> Any:
        LEFT.append(engine.connect())
        keys.append(id(LEFT[-1].connection))
        return LEFT[-1]

    def run() -> Any:
        names = {
            "connect": connect, "make": SimpleNamespace, "app": SimpleNamespace(),
            "registry": lambda kept: scoped_session(lambda: kept),
            "ExitStack": ExitStack, "contextmanager": contextmanager,
        }  # fmt: skip
        source = f"{CLASSES}def run(stay):\n    stay()\n    {rest}\n{put}\n"
        exec(compile(source, "app.py", "exec"), names)
        return names["run"]

    with living(run()):
        assert reach.by_living_frames(set(keys))[0] == (set(keys) if counts else set())


def test_names_that_a_suspended_coroutine_reads(engine: Engine) -> None:
    """So it is with a task: what its coroutine will read when it goes on is in its hands."""
    watch = poolwatch.install(interval=60)
    key: list[int] = []

    async def main() -> set[int]:
        global left
        left = engine.connect()
        key.append(id(left.connection))
        found, *_ = await asyncio.to_thread(reach.by_living_frames, set(key))
        left.close()
        return found

    try:
        assert asyncio.run(main()) == set(key)
    finally:
        watch.uninstall()


def test_in_service(engine: Engine) -> None:
    """A connection that lies in a module's container and is used by ever new threads is no leak, until it lies idle."""
    watch = poolwatch.install(interval=60, grace=0)

    def run(work: Callable[[], object]) -> list[str]:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return [f"{finding.kind} {finding.state}" for finding in watch.findings()]

    try:
        assert run(lambda: LEFT.append(engine.connect())) == ["leak.owner_ended open"]
        for _ in range(2):
            assert run(lambda: LEFT[0].execute(text("SELECT 1"))) == ["leak.owner_ended resolved"]
    finally:
        LEFT.pop().close()
        watch.uninstall()
