"""A plain name that other code reads is a place made for a connection; what a script goes through is in its hands."""

from __future__ import annotations

import gc
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

import poolwatch
from poolwatch.evidence import reach
from tests.living import living

WATCH = {"interval": 60, "grace": 0}
ONE = text("SELECT 1")
Load = Callable[[str, str], types.ModuleType]

pytestmark = pytest.mark.usefixtures("patient_walks")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine whose connections any thread may use."""
    url = f"sqlite:///{tmp_path}/shop.db"
    engine = create_engine(url, pool_size=50, connect_args={"check_same_thread": False})
    yield engine
    gc.collect()  # what the programs of a test have kept is closed with the rest
    engine.dispose()


@pytest.fixture
def load(engine: Engine, tmp_path: Path) -> Iterator[Load]:
    """Give what makes a module of the application's from its name and source."""

    def load(name: str, source: str) -> types.ModuleType:
        module = types.ModuleType(name)
        file = str(tmp_path / f"{name}.py")
        registry = scoped_session(sessionmaker(engine), scopefunc=lambda: 1)
        names = {"ONE": ONE, "Plain": types.SimpleNamespace, "Session": registry, "__file__": file}
        modules.setitem(sys.modules, name, module)
        vars(module).update(names, connect=engine.connect)
        exec(compile(source, file, "exec"), vars(module))
        return module

    with pytest.MonkeyPatch.context() as modules:
        yield load


def leave(work: Callable[[], object]) -> None:
    """Let a thread do something, and end."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def found(watch: poolwatch.Watch) -> list[tuple[str, str, str | None]]:
    """Give kind and grade of what is found, and how it was resolved."""
    return [(finding.kind, finding.grade, finding.resolution) for finding in watch.findings()]


GLOBAL = """
conn = None
def opens():
    global conn
    conn = connect()
    conn.execute(ONE)
"""
GETTER = """
conn = None
def opens():
    global conn
    if conn is None: conn = connect()
    return conn
"""
WRAPPED = """
def twice(work):
    def runs(): return work(), work()
    runs.__wrapped__ = work
    return runs
@twice
@twice
def ask(): return conn.execute(ONE)
"""
CLASS = """
class App:
    db = None
    def start(self): self.db = connect(); self.db.execute(ONE); return [self.db for _ in "ab"]
    {more}
app = App()
def opens(): {opens}
"""
SLOTS = """
class App:
    __slots__ = ("log", "db")
    def close(self): self.db.close()
app = App()
def opens(): app.db = connect()
"""
PLAIN = "state = Plain()\ndef opens(): state.inner = Plain(db=connect())\n"


def shop(more: str = "log = 1", opens: str = "app.start()") -> str:
    """Write a module with an object that has a connection, and what else its class has."""
    return CLASS.format(more=more, opens=opens)


PLACES = {
    "a global that a function reads": (f"{GLOBAL}def ask(): return conn.execute(ONE)", ""),
    "that is opened when asked for": (GETTER, ""),
    "read by a function made in another": (f"{GLOBAL}def make():\n    def ask(): conn.close()\n    return ask", ""),
    "read by a decorated function": (GLOBAL + WRAPPED, ""),
    "read in another module": (GLOBAL, "import shop_app as db\ndef ask(): return db.conn.execute(ONE)"),
    "imported in another module": (GLOBAL, "def ask():\n    from shop_app import conn"),
    "an object's that a method reads": (shop("def stop(self): self.db.close()"), ""),
    "an object's that a property reads": (shop("now = property(lambda self: self.db)"), ""),
    "an object's that a function reads": (f"{shop()}def ask(): return app.db.execute(ONE)", ""),
    "a class's that a method reads": (
        shop("@classmethod\n    def stop(cls): cls.db.close()", "App.db = connect()"),
        "",
    ),
    "a class's that a function reads": (f"{shop(opens='App.db = connect()')}def ask(): return App.db", ""),
    "in a slot": (SLOTS, ""),
    "an object's that has no methods": (f"{PLAIN}def ask(): return state.inner.db", ""),
}
"""A module in which a thread opens a connection and ends; and another one."""
LEFT = {
    "a global that nobody reads": (GLOBAL, ""),
    "another's name": (f"{GLOBAL}def ask(shop): return shop.conn.execute(ONE)", ""),
    "another module's global": (GLOBAL, "conn = 1\ndef ask(): return conn"),
    "an object's that its opener reads": (shop(), ""),
    "another object's": (f"{shop()}class Other:\n    def stop(self): self.db.close()", ""),
    "a list that is filled": ("kept = []\ndef opens(): kept.append(connect())\ndef ask(): return kept[0]", ""),
    "a dict that grows": ("cache = {}\ndef opens(): cache['a'] = connect()\ndef ask(key): return cache.get(key)", ""),
    "results of ended threads": ("latest = {}\ndef opens(): latest[1] = connect().execute(ONE)", ""),
    "a registry": ("def opens(): Session.execute(ONE)\ndef ask(): Session.execute(ONE)", ""),
    "an object's list": (f"{PLAIN}state.all = []\ndef opens(): state.all.append(connect())\ndef ask(): state.all", ""),
}


def test_grades(load: Load, watch: poolwatch.Watch) -> None:
    """What an ended thread left where other code will look for it is a suspicion, and elsewhere probably a leak."""
    cases = {f"shop_{number}": name for number, name in enumerate([*PLACES, *LEFT])}
    for module, name in cases.items():
        source, other = (PLACES | LEFT)[name]
        leave(load(module, source).opens)
        load(f"other_{module}", other.replace("shop_app", module))
    findings = {cases[Path(finding.site.file).stem]: finding for finding in watch.findings() if finding.site}
    expected = dict.fromkeys(PLACES, "suspected") | dict.fromkeys(LEFT, "probable")
    assert {name: finding.grade for name, finding in findings.items()} == expected
    told = {name for name, finding in findings.items() if "Other code reads that name" in finding.summary}
    assert told == PLACES.keys()


def test_used_at_last(load: Load, watch: poolwatch.Watch) -> None:
    """Once somebody alive has used it, it is no finding any more; nor when all who have used it have ended."""
    module = load("shop", GETTER)
    leave(module.opens)
    assert found(watch) == [("leak.owner_ended", "suspected", None)]
    module.opens().execute(ONE)
    assert found(watch) == [("leak.owner_ended", "suspected", "no longer so")]


def test_used_by_ever_new_threads(load: Load, watch: poolwatch.Watch) -> None:
    """So it is where a thread for each request uses it, and ends."""
    module = load("shop", GETTER)
    for _ in range(3):
        leave(lambda: module.opens().execute(ONE))
    assert found(watch) == []


SCRIPTS = {
    "gone through": ("kept = [connect()]\nstay()\nfor c in kept: c.close()", True),
    "gone through by another": ("kept = [connect()]\nstay()\nfor n, c in enumerate(kept, 1): c.close()", True),
    "comprehended": ("kept = [connect()]\nstay()\n[c.close() for c in kept]", True),
    "asked for an entry": ("kept = [connect()]\nstay()\nkept[0].close()", True),
    "asked for values": ("kept = {'a': connect()}\nstay()\nfor c in kept.values(): c.close()", True),
    "taken apart": ("kept = connect(), 1\nstay()\nconn, number = kept", True),
    "passed on": ("kept = [connect()]\nstay()\nprint(kept, end='')", True),
    "gone through in a loop": (
        "kept = []\nfor n in (1, 2):\n  for c in kept: c.close()\n  kept = [connect()]\n  stay()",
        True,
    ),
    "gone through now": ("kept = [1, connect()]\nfor c in kept:\n  stay()", True),
    "with names as keys": ("kept = {}\nkept['a'] = connect()\nstay()\nprint(kept['a'], end='')", True),
    "only filled": ("kept = []\nkept.append(connect())\nstay()\nkept.append(1)", False),
    "only written to": ("kept = {}\nkept[1] = connect()\nstay()\nkept[ONE[0]] = ONE\nkept[2] = print(end='')", False),
    "only emptied": ("kept = [connect()]\nstay()\nkept.pop().close()", False),
    "only counted": ("kept = [connect()]\nstay()\nif kept and len(kept) > 1 and 1 not in kept: print()", False),
    "passed on to be filled": ("kept = [connect()]\nfor n in (1, 2):\n  stay()\n  print(kept, end='')", False),
    "replaced": ("kept = [connect()]\nstay()\nkept = []\nfor c in kept: c.close()", False),
    "gone through before": ("kept = [connect()]\nfor c in kept: c.close\nc = 1\nstay()", False),
    "read by a function": ("kept = [connect()]\ndef ask(): return kept[0]\nstay()\nask()", False),
}
"""What runs as a script, and whether what it stays with counts as in its hands."""


def test_lists_of_a_running_script(engine: Engine) -> None:
    """What lies in a list or dict of a script's is in its hands as long as it goes on to read that, by itself."""
    assert in_hands(engine, {name: source for name, (source, _) in SCRIPTS.items()}, "__main__") == {
        name for name, (_, counts) in SCRIPTS.items() if counts
    }


def test_lists_of_a_module_that_is_no_script(engine: Engine) -> None:
    """What a module has in a list while it is imported is the application's, and in nobody's hands."""
    assert in_hands(engine, {"gone through": SCRIPTS["gone through"][0]}, "shop") == set()


def in_hands(engine: Engine, sources: dict[str, str], module: str) -> set[str]:
    """Run each, and give those in whose hands the connection is that they have opened last."""
    keys: dict[int, str] = {}

    def opens(name: str) -> Connection:
        connection = engine.connect()
        keys[id(connection.connection)] = name
        return connection

    def run(name: str) -> Callable[[Callable[[], None]], None]:
        names = {"connect": partial(opens, name), "ONE": "1", "__name__": module, "__file__": "app.py"}
        code = compile(sources[name], "app.py", "exec")
        return lambda stay: exec(code, {**names, "stay": stay})

    with ExitStack() as stack:
        for name in sources:
            stack.enter_context(living(run(name)))
        return {keys[key] for key in reach.by_living_frames(set(keys))[0]}
