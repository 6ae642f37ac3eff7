"""Looking for who keeps a handle runs none of the application's code, and a walk that fails costs no look."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

import poolwatch
from poolwatch.evidence import reach

CALLED: list[str] = []
LEFT: list[Any] = []
FACTS: dict[Any, Any] = {}


class Touchy:
    """Notes whatever of its methods is called, and raises."""

    def __getattribute__(self, name: str) -> Any:
        CALLED.append(name)
        raise SystemError(name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        CALLED.append("__class__")
        raise SystemError


def _noted(name: str) -> Any:
    def method(self: Any, *args: Any) -> Any:
        CALLED.append(name)
        raise SystemError(name)

    return method


for _name in ("__eq__", "__bool__", "__len__", "__iter__", "__repr__", "__str__", "__call__", "__getitem__"):
    setattr(Touchy, _name, _noted(_name))


class Key(Touchy):
    """Can be a key, as long as nobody looks it up."""

    def __hash__(self) -> int:
        CALLED.append("__hash__")
        return 1


class Lazy:
    """Stands for what it makes once somebody asks for its class, as Django's ``request.user``."""

    __class__ = property(lambda self: CALLED.append("made") or type(self))  # type: ignore[assignment]


class Meta(type):
    """Has attributes looked up by code of its own."""

    def __getattribute__(cls, name: str) -> Any:
        CALLED.append(f"Meta.{name}")
        return type.__getattribute__(cls, name)


class Strange(metaclass=Meta):
    """Stands in the globals of a module."""


@pytest.fixture
def left(tmp_path: Path) -> Iterator[poolwatch.Watch]:
    """Have a connection left behind by a thread that ended, with nobody having looked yet."""
    watch = poolwatch.install(interval=60, grace=0)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    thread = threading.Thread(target=lambda: LEFT.append(engine.connect()))
    thread.start()
    thread.join()
    yield watch
    LEFT.pop().close()
    watch.uninstall()
    engine.dispose()


def test_objects_are_not_asked(left: poolwatch.Watch) -> None:
    """Objects in locals and globals, and as keys, notice nothing, whatever of theirs is overridden."""
    mine = [Touchy(), Lazy(), {Key(): Touchy()}, Strange, Strange()]
    FACTS[Key()] = [Touchy(), Lazy(), Strange()]
    CALLED.clear()
    (finding,) = left.findings()
    assert reach.by_living_frames({1})[0] == set()
    assert reach.by_modules({1}) == {}
    called = list(CALLED)
    FACTS.clear()
    assert len(mine) == 5
    assert called == []
    assert finding.kind == "leak.owner_ended"
    assert finding.retained_by[0].startswith(f"{__name__}.LEFT[0]")
    assert left.snapshot().process.hook_errors == {}


def test_lazy_module_is_not_loaded(left: poolwatch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is loaded when somebody first asks for an attribute stays as it is."""
    path = tmp_path / "lazy_module.py"
    path.write_text("import sys\nsys.modules['loaded_by_a_look'] = sys\n")
    spec = importlib.util.spec_from_file_location("lazy_module", path)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy_module", module)
    spec.loader.exec_module(module)
    assert [finding.kind for finding in left.findings()] == ["leak.owner_ended"]
    assert sys.modules.pop("loaded_by_a_look", None) is None
    assert type(module).__name__ == "_LazyModule"


def test_walk_that_fails(left: poolwatch.Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk that raises is counted, costs no look, and leaves a suspicion of what nobody could look into."""

    def broken(*_: object) -> Any:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(reach, "LIVING", (10_000_000, 12))  # also in a process that has a thousand tests behind it
    monkeypatch.setattr(reach, "_MAX_SECONDS", 30.0)
    with monkeypatch.context() as patched:
        patched.setattr(reach, "by_living_frames", broken)
        (finding,) = left.findings()
    assert (finding.kind, finding.grade, finding.retained_by) == ("leak.owner_ended", "suspected", ())
    assert left.snapshot().process.hook_errors == {"witness": 1}
    (finding,) = left.findings()
    assert finding.grade == "probable"
