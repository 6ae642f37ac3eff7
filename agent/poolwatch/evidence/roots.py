"""Where a walk begins: what the frames of living threads, tasks and greenlets hold, and the globals of modules."""

from __future__ import annotations

import asyncio
import gc
import sys
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

from poolwatch.evidence import script
from poolwatch.evidence.names import read_by, still_read
from poolwatch.evidence.objects import body_of, classes_of, is_a
from poolwatch.senses import actor, greenlets, stack
from poolwatch.senses.awaited import fast_locals
from poolwatch.senses.installed import package_of

_QUEUES = {deque, list, set, dict}
"""Where loops, asyncio's and uvloop's, have what they will call: a close that is scheduled reaches its connection."""
_AWAITS = ("cr_await", "gi_yieldfrom", "ag_await")


def living(but: int = 0) -> Iterator[list[Any]]:
    """Give, for each living thread, task, greenlet and queue of a loop, what it holds; without the thread ``but``."""
    for ident in sys._current_frames().keys() - {but}:
        yield _held_by_thread(ident)
    for task in _tasks():
        yield [value for coroutine in _chain(task.get_coro()) for value in (coroutine, *read_by(coroutine))]
    for loop in actor.loops():
        yield [kept for kept in gc.get_referents(loop) if type(kept) in _QUEUES]
    for greenlet in greenlets.living():
        yield [greenlet, *held_on(greenlet.gr_frame)]


def modules() -> Iterator[tuple[str, Any]]:
    """Give name and value of the globals and class attributes of modules that are no library's, the main one first."""
    for name, module in sorted(sys.modules.copy().items(), key=lambda item: item[0] != "__main__"):
        if is_a(module, (types.ModuleType,)):
            names = object.__getattribute__(module, "__dict__")  # a lazy module must not be loaded by being looked at
            if name == "__main__" or _is_application(name, names.get("__file__")):
                yield from _named(name, names)


def _is_application(name: str, file: object) -> bool:
    if not isinstance(file, str) or name.startswith("poolwatch"):
        return False
    return not stack.is_library(file) or package_of(file) in stack.takers


def _named(module: str, names: Any) -> Iterator[tuple[str, Any]]:
    for key, value in names.copy().items():
        attributes = body_of(value) if is_a(value, (type,)) else None
        if attributes is not None and attributes.get("__module__") == module:
            yield from ((f"{module}.{key}.{name}", inner) for name, inner in attributes.copy().items())
        else:
            yield f"{module}.{key}", value


def _held_by_thread(ident: int) -> list[Any]:
    # nobody but this call may have a frame: one of ours in a variable of its own would never go away
    return list(held_on(_not_ours(sys._current_frames().get(ident))))


def _tasks() -> list[Any]:
    found: list[Any] = []
    for loop in actor.loops():
        try:
            found.extend(task for task in asyncio.all_tasks(loop) if not task.done())
        except RuntimeError:  # the set of tasks changed under us too often
            continue
    return found


def _chain(coroutine: Any) -> Iterator[Any]:
    """Give a coroutine and what it awaits: their locals are referents of the coroutine objects themselves."""
    while coroutine is not None:
        yield coroutine
        awaits = next((name for name in _AWAITS if any(name in body_of(kind) for kind in classes_of(coroutine))), None)
        coroutine = None if awaits is None else getattr(coroutine, awaits)


def _not_ours(frame: types.FrameType | None) -> types.FrameType | None:
    """Skip poolwatch's own innermost frames: nothing of the watcher's, but the host's that asked for a look."""
    while frame is not None and frame.f_code.co_filename.startswith(stack.OUR_FOLDER):
        frame = frame.f_back
    return frame


def held_on(frame: types.FrameType | None) -> Iterator[Any]:
    """Give what a frame and those that called it have in their locals, and what else they go on to read."""
    while frame is not None:
        if frame.f_code.co_flags & 2:  # CO_NEWLOCALS: not a module's or a class body's frame
            yield from fast_locals(frame)
        yield from still_read(frame)
        yield from script.in_hand(frame)
        frame = frame.f_back
