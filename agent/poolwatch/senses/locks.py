"""Which locks are held while somebody takes his turn on a connection.

For rare paths only: it looks through the frames of whoever runs here, and runs none of the application's code.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from inspect import CO_NEWLOCALS
from types import FrameType, ModuleType
from typing import Any

from poolwatch.senses import stack

Locks = frozenset[weakref.ref[Any]]
_FRAMES = 24
_MOST = 200
"""Attributes of an object; a larger dictionary is some other one."""
_HEAP_TYPE = 1 << 9
"""Of a class that is not built in: its objects may have attributes."""
_LOCKS: dict[int, Callable[[Any], bool]] = {
    id(type(threading.Lock())): lambda lock: lock.locked(),
    id(type(threading.RLock())): lambda lock: lock._is_owned(),
    id(threading.Semaphore): lambda lock: lock._value == 0,
    id(threading.BoundedSemaphore): lambda lock: lock._value == 0,
    id(asyncio.Lock): lambda lock: lock._locked,
    id(asyncio.Semaphore): lambda lock: lock._value == 0,
    id(asyncio.BoundedSemaphore): lambda lock: lock._value == 0,
}
"""By id of the class: whether a lock is held. By id, because hashing a class may run its metaclass's code."""
_CLOSED = (dict, list, set, frozenset, tuple, deque, type, Executor)
"""What is not looked into: containers may be huge, and an executor's locks and semaphores are its own."""
_flags: Callable[[type], int] = vars(type)["__flags__"].__get__


def held() -> Locks:
    """Give the locks held at this moment to which names in the application's frames here lead.

    Of a plain lock nobody knows who holds it: it counts where it is held at all.
    """
    found: set[weakref.ref[Any]] = set()
    frame = stack.outside(1)
    for _ in range(_FRAMES):
        if frame is None:
            break
        if not stack.is_library(frame.f_code.co_filename):
            found.update(weakref.ref(value) for value in _named(frame) if _is_held(value))
        frame = frame.f_back
    return frozenset(found)


def _is_held(value: Any) -> bool:
    held = _LOCKS.get(id(type(value)))
    return held is not None and held(value)


def _named(frame: FrameType) -> Iterator[Any]:
    """Give what a frame's names stand for, and what is there one attribute on: ``lock``, ``self.lock``, ``db.lock``."""
    names = frame.f_code.co_names
    values = _of(frame.f_globals, names)
    if frame.f_code.co_flags & CO_NEWLOCALS:
        values += _locals(frame)
    for value in values:
        yield value
        yield from _attributes(value, names)


def _locals(frame: FrameType) -> list[Any]:
    local = frame.f_locals
    values = list(local.values())
    # before 3.13 this dict is the frame's own copy, which would keep what it holds alive; nobody else may have it
    if type(local) is dict and sys.getrefcount(local) <= 3:
        local.clear()
    return values


def _attributes(value: Any, names: tuple[str, ...]) -> Iterator[Any]:
    kind = type(value)
    if issubclass(kind, ModuleType):
        yield from _of(object.__getattribute__(value, "__dict__"), names)
    elif issubclass(kind, threading.Thread):
        own = object.__getattribute__(value, "__dict__").copy()
        own.pop("_tstate_lock", None)  # is held as long as the thread lives
        yield from own.values()
    elif _flags(kind) & _HEAP_TYPE and not issubclass(kind, _CLOSED):
        for referent in gc.get_referents(value):
            yield referent
            if type(referent) is dict and len(referent) <= _MOST:
                yield from referent.copy().values()


def _of(known: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    return [known.get(name) for name in names] if type(known) is dict else []
