"""Which locks are held while somebody takes his turn on a connection.

For rare paths only: it looks through the frames of whoever runs here, and runs none of the application's code.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

from poolwatch.host.native import original
from poolwatch.senses import named, stack

_FRAMES = 24
_Reader = Callable[[Any], bool]


class Held(weakref.ref[Any]):
    """One lock; equal where it is the same object, because equality of weak references asks their referents."""

    __slots__ = ("_id",)

    _id: int

    def __new__(cls, lock: Any) -> Held:
        """Refer weakly to ``lock``."""
        self = super().__new__(cls, lock)
        self._id = id(lock)
        return self

    def __hash__(self) -> int:
        return self._id

    def __eq__(self, other: object) -> bool:
        lock = self()
        return lock is not None and isinstance(other, Held) and lock is other()


Locks = frozenset[Held]


def held(before: Locks) -> Locks:
    """Give the locks held at this moment to which names in the application's frames here lead.

    Once one of those that were held ``before`` is found, those of them that still are will do. Of a plain lock nobody
    knows who holds it: it counts where it is held at all.
    """
    readers, found = _Readers(), set[Held]()
    for value in named.values(_of_application(stack.outside(1))):
        if readers.is_held(value):
            found.add(Held(value))
            if not before.isdisjoint(found):
                return frozenset(known for known in before if readers.is_held(known()))
    return frozenset(found)


def _of_application(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(_FRAMES):
        if frame is None:
            break
        if not stack.is_library(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


class _Readers:
    """Tells of objects whether they are locks that are held; for one look, because it keeps the classes that it met."""

    def __init__(self) -> None:
        self._of_locks = _LOCKS | _of_others()
        self._known = self._of_locks.copy()
        self._classes: list[type] = []

    def is_held(self, value: Any) -> bool:
        """Tell whether ``value`` is a lock that is held now."""
        kind = type(value)
        read = self._known.get(id(kind))
        return self._meet(kind)(value) if read is None else read(value)

    def _meet(self, kind: type) -> _Reader:
        self._classes.append(kind)  # so that no other gets its id
        readers = (self._of_locks.get(id(base)) for base in named.mro(kind))
        self._known[id(kind)] = read = next(filter(None, readers), _is_none)
        return read


def _is_none(value: Any) -> bool:
    return False


def _exhausted(semaphore: Any) -> bool:
    return bool(named.member(semaphore, "_value") == 0)


def _inner(condition: Any) -> bool:
    """Tell of a Condition, which is as good as the lock that it has."""
    return _Readers().is_held(named.member(condition, "_lock"))


def _anyio(lock: Any) -> bool:
    """Tell of anyio's; one that was made outside a loop has that of the loop inside."""
    lock = named.member(lock, "_internal_lock") or lock
    return named.member(lock, "_owner_task") is not None


def _anyio_semaphore(semaphore: Any) -> bool:
    return _exhausted(named.member(semaphore, "_internal_semaphore") or semaphore)


def _mine(lock: Any) -> bool:
    """Tell of one that processes share: none is left, and this thread has taken it."""
    shared = named.member(lock, "_semlock")
    return shared is not None and bool(shared._is_zero() and shared._is_mine())


def _of_others() -> dict[int, _Reader]:
    """Give the readers for the locks of those modules that the host has imported by now."""
    found: dict[int, _Reader] = {}
    for imported, name, reader in _ELSEWHERE:
        module = sys.modules.get(imported)
        within = object.__getattribute__(module, "__dict__") if issubclass(type(module), ModuleType) else {}
        kind = within.get(name)
        if kind is not None:
            found[id(kind)] = reader(kind)
    return found


_RLOCKS: tuple[Any, ...] = (original("_thread", "RLock"), vars(threading)["_RLock"])
"""Of C, and of Python, which ``gevent.monkey`` puts in its place."""
_LOCKS: dict[int, _Reader] = {
    id(original("_thread", "LockType")): lambda lock: bool(lock.locked()),
    **{id(kind): kind._is_owned for kind in _RLOCKS},
    id(threading.Condition): _inner,
    id(threading.Semaphore): _exhausted,
    id(asyncio.Lock): lambda lock: named.member(lock, "_locked") is True,
    id(asyncio.Condition): _inner,
    id(asyncio.Semaphore): _exhausted,
}
"""By id of the class: whether a lock is held. By id, because hashing a class may run its metaclass's code."""
_ELSEWHERE: tuple[tuple[str, str, Callable[[Any], _Reader]], ...] = (
    ("multiprocessing.synchronize", "SemLock", lambda kind: _mine),
    ("multiprocessing.synchronize", "Condition", lambda kind: _inner),
    ("anyio", "Lock", lambda kind: _anyio),
    ("anyio", "Condition", lambda kind: _inner),
    ("anyio", "Semaphore", lambda kind: _anyio_semaphore),
    ("gevent.lock", "Semaphore", lambda kind: kind.locked),
    ("gevent.lock", "RLock", lambda kind: kind._is_owned),
)
"""Module, class, and what makes its reader; ``gevent.monkey`` puts classes of gevent's semaphores in place of locks."""
