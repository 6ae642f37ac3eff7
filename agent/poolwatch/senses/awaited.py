"""Who waits for a task or a future: found by what its callbacks refer to, running no code of the application's.

For rare paths only. Only callbacks of event loops, asyncio's and anyio's, are followed: what the application has put
into a callback of its own need not wait for anything.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from functools import partial
from types import BuiltinMethodType, CellType, FrameType, FunctionType, MethodType
from typing import Any

_STEPS = 10
_MOST = 200
"""Objects looked at; between a task and who awaits it lie few."""
_LONGEST_CHAIN = 5
_LOOPS = {"asyncio", "_asyncio", "anyio", "concurrent"}
_FUTURES = (asyncio.Future, asyncio.futures._PyFuture, futures.Future)  # type: ignore[attr-defined]
_TASKS = (asyncio.Task, asyncio.tasks._PyTask)  # type: ignore[attr-defined]
_WAKEUPS = {"task_wakeup", "__wakeup"}
_LINKS = (tuple, deque, CellType)
_RESULTS = {futures.Future.result.__code__, futures.Future.exception.__code__}
_module_of = vars(type)["__module__"].__get__


def waiting_for(awaited: Any) -> Iterator[tuple[Any, list[FrameType]]]:
    """Give who waits for a task or future, and where, innermost frame first; then who waits for him, and so on.

    Who waits is a task, or None for a thread. The caller must drop the frames at once.
    """
    for _ in range(_LONGEST_CHAIN):
        task, thread = _waiter(awaited)
        if task is not None:
            yield task, list(coroutine_frames(task.get_coro()))[::-1]
        elif thread:
            yield None, thread
        if task is None:
            return
        awaited = task


def _waiter(awaited: Any) -> tuple[Any, list[FrameType]]:
    """Give the task, or the frames of the thread, that waits for a task or future."""
    level, seen = [awaited], {id(awaited)}
    for _ in range(_STEPS):
        below = []
        for value in level:
            task = _woken(value)
            if task is not None and task is not awaited and not task.done():
                return task, []
            thread = _waits_for_result(value) if issubclass(type(value), futures.Future) else []
            if thread:
                return None, thread
            below += _links(value)
        fresh = {id(value): value for value in below if id(value) not in seen}
        seen |= fresh.keys()
        level = list(fresh.values())
        if len(seen) > _MOST:
            break
    return None, []


def _woken(callback: Any) -> Any:
    """Give the task that awaits what calls this back; other callbacks of a task's, as its ``cancel``, await nothing."""
    if type(callback) not in (MethodType, BuiltinMethodType) or callback.__name__ not in _WAKEUPS:
        return None
    task = callback.__self__
    return task if issubclass(type(task), _TASKS) else None


def _links(value: Any) -> list[Any]:
    """Give to what a future, or a callback of an event loop's, leads."""
    kind = type(value)
    if issubclass(kind, futures.Future):
        return list(value._done_callbacks)
    if issubclass(kind, _FUTURES):
        return [callback for callback, _ in value._callbacks or ()]
    if kind is FunctionType:
        return list(value.__closure__ or ()) if _is_of_loops(value.__module__) else []
    if kind is partial:
        return list(value.args) if _is_of_loops(getattr(value.func, "__module__", None)) else []
    if kind is MethodType:
        return [value.__self__] if _is_of_loops(value.__func__.__module__) else []
    if kind in _LINKS:
        return gc.get_referents(value)
    if not _is_of_loops(_module_of(kind)) or issubclass(kind, asyncio.AbstractEventLoop):
        return []
    parts = gc.get_referents(value)
    return [*parts, *(inner for part in parts if type(part) is dict for inner in part.copy().values())]


def _is_of_loops(module: object) -> bool:
    return type(module) is str and module.partition(".")[0] in _LOOPS


def _waits_for_result(future: Any) -> list[FrameType]:
    for frame in sys._current_frames().values():
        frames = list(chain(frame))
        if any(one.f_code in _RESULTS and local(one, "self") is future for one in frames):
            return frames
    return []


def chain(frame: FrameType | None) -> Iterator[FrameType]:
    """Give a frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def fast_locals(frame: FrameType) -> list[Any]:
    """Give the values of a frame's local variables; keeps none of them alive."""
    names = frame.f_locals
    values = list(names.values())
    # before 3.13 this dict is the frame's own copy, which would keep what it holds alive; nobody else may have it
    if type(names) is dict and sys.getrefcount(names) <= 3:
        names.clear()
    return values


def local(frame: FrameType, name: str) -> Any:
    """Give a local variable of a frame, or None; keeps none of its variables alive."""
    names = frame.f_locals
    value = names.get(name)
    # before 3.13 this dict is the frame's own copy, which would keep what it holds alive; nobody else may have it
    if type(names) is dict and sys.getrefcount(names) <= 3:
        names.clear()
    return value


def coroutine_frames(coroutine: Any) -> Iterator[FrameType]:
    """Give the frames of a coroutine and of what it awaits, outermost first."""
    while coroutine is not None:
        for prefix in ("cr", "gi", "ag"):
            if hasattr(coroutine, prefix + "_frame"):
                frame = getattr(coroutine, prefix + "_frame")
                if frame is not None:
                    yield frame
                coroutine = getattr(coroutine, {"cr": "cr_await", "gi": "gi_yieldfrom", "ag": "ag_await"}[prefix])
                break
        else:
            return
