"""Who stands behind a task or thread in which nothing of the application's is: who awaits, submitted or started it.

For rare paths only: ``create_task(pool.acquire())``, ``gather(session.execute(a), session.execute(b))``,
``to_thread(engine.connect)``.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import _get_running_loop
from collections.abc import Container, Iterable, Iterator
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from sys import _current_frames, _getframe
from types import CodeType, FrameType
from typing import Any

from poolwatch.host.native import get_ident, sleep
from poolwatch.senses import greenlets
from poolwatch.senses.actor import current, of_task
from poolwatch.senses.actors import Actor
from poolwatch.senses.awaited import chain, coroutine_frames, local, waiting_for
from poolwatch.senses.files import (
    OUR_FOLDER,
    RUN_TASKS,
    generated,
    inside,
    is_application,
    is_of_pool_library,
)
from poolwatch.senses.flow import own_strand

Raw = tuple[tuple[CodeType, int], ...]
"""A stack as kept: (code, offset of the instruction), innermost first."""

_LOOKS = 5
_PAUSE = 0.002
"""Seconds between two looks whether somebody waits."""
NEAR = 10
"""Frames beyond a library's in which whoever called it is looked for; farther out is who started a framework."""
STARTED_AT = "_poolwatch_started_at"
"""Name under which a thread or work item has who started it, as ``starter`` gives it."""
STARTED_BY = "_poolwatch_started_by"
"""The same for the key of the actor that started a thread."""
_SUSPENDABLE = CO_COROUTINE | CO_ASYNC_GENERATOR | CO_GENERATOR
_RUN_UNTIL = asyncio.BaseEventLoop.run_until_complete.__code__
_JOIN = threading.Thread.join.__code__
_eager_tasks: Container[object] = getattr(asyncio.tasks, "_eager_tasks", ())
beginnings: set[CodeType] = set()
"""Functions of hooks in which work items or threads begin, whose ``self`` has what was noted at their start."""


def own_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Give a frame and those that called it, behind a greenlet too."""
    greenlet = greenlets.getcurrent() if greenlets.getcurrent is not None else None
    while True:
        while frame is not None:
            yield frame
            frame = frame.f_back
        if greenlet is None or greenlet.parent is None:
            return
        greenlet = greenlet.parent
        frame = greenlet.gr_frame


def _task() -> Any:
    loop = _get_running_loop()
    return asyncio.current_task(loop) if loop is not None else None


def root_of_task() -> FrameType | None:
    """Give the outermost frame of the current task; None where none runs, or where its first step runs in a caller."""
    task = _task()
    return None if task is None or task in _eager_tasks else next(coroutine_frames(task.get_coro()), None)


def has_left_task(frame: FrameType) -> bool:
    """Tell whether ``frame``, from which this was called, is farther out than the current task."""
    if frame.f_code.co_flags & _SUSPENDABLE or _get_running_loop() is None:
        return False
    inner: FrameType | None = _getframe(1)
    last: FrameType | None = None
    while inner is not None and inner is not frame:
        if inner.f_code.co_flags & _SUSPENDABLE:
            last = inner
        inner = inner.f_back
    return last is not None and inner is frame and last is root_of_task()


def behind(depth: int) -> Raw:
    """Give the frames of whoever awaits this task, or submitted or started what runs here, from the application's.

    Where that cannot be seen, the outermost frame here of a pool library: what was called.
    """
    frames, task = list(own_frames(_getframe(1))), _task()
    found = of_starter(frames, depth) if task is None else of_waiting(task, depth)
    return found or _entry(frames, root_of_task())


def _entry(frames: list[FrameType], root: FrameType | None) -> Raw:
    entry: Raw = ()
    for frame in frames:
        file = frame.f_code.co_filename
        if not inside[file] and not generated(frame):
            break
        if is_of_pool_library(file) and not file.startswith(OUR_FOLDER):
            entry = raw_of([frame])
        if frame is root:
            break
    return entry


def of_waiting(awaited: Any, depth: int) -> Raw:
    """Give the raw stack of whoever awaits a task or future, from the application's innermost frame; empty if none.

    What nobody awaits may be what a loop was started for, by a library that the application called.
    """
    for task, frames in waiting_for(awaited):
        found = of_application(frames, depth)
        if found:
            return found
        awaited = task if task is not None else awaited
    return of_application(_running(awaited), depth)


def _running(task: Any) -> list[FrameType]:
    """Give the frames in which a loop runs until this task is over, innermost first; empty where none does."""
    thread = _thread_of(task) if issubclass(type(task), asyncio.Task) else None
    innermost = _current_frames().get(thread) if thread is not None else None
    frames = list(own_frames(innermost) if thread == get_ident() else chain(innermost))
    until = (at for at, one in enumerate(frames) if one.f_code is _RUN_UNTIL and local(one, "future") is task)
    return frames[next(until, len(frames)) :]


def _thread_of(task: Any) -> int | None:
    """Give the ident of the thread that runs a task's loop; None where none does, or the loop does not say."""
    thread: int | None = getattr(task.get_loop(), "_thread_id", None)
    return thread


def note_who_awaits() -> None:
    """Note on the actor of the current task, in which nothing of the application's is, who awaits it, if known."""
    task = _task()
    waiting = waiting_for(task) if task is not None else ()
    above = next((of_task(other) for other, frames in waiting if of_application(frames, 1)), None)
    if above is not None:
        current().above = above.key


def of_starter(frames: list[FrameType], depth: int) -> Raw:
    """Give the raw stack of who submitted or started what runs in a thread with these frames, as far as it was kept."""
    job = _job(frames)
    noted: Raw = () if job is None else vars(job).get(STARTED_AT, ())
    return noted[:depth]


def _job(frames: Iterable[FrameType]) -> Any:
    """Give the thread or work item that runs in a thread with these frames; None of one that was not seen to begin."""
    return next((local(frame, "self") for frame in frames if frame.f_code in beginnings), None)


def waits_for_me(other: Actor) -> bool:
    """Tell whether ``other`` has this task, work item or thread do something for it, and waits until it is over.

    Whoever has just started a thread or work item is given some milliseconds to begin to wait.
    """
    task = _task()
    if task is not None:
        return _is_awaited_by(other, task)
    job = _job(own_frames(_getframe(1)))
    if job is None or other.key not in (vars(job).get(STARTED_BY), *own_strand(current().key).keys):
        return False
    for _ in range(_LOOKS):
        if _is_joined_by(other, job) if isinstance(job, threading.Thread) else _is_awaited_by(other, job.future):
            return True
        sleep(_PAUSE)
    return False


def _is_joined_by(other: Actor, thread: threading.Thread) -> bool:
    frames = chain(_current_frames().get(other.thread_id))
    return any(frame.f_code is _JOIN and local(frame, "self") is thread for frame in frames)


def _is_awaited_by(other: Actor, awaited: Any) -> bool:
    for task, frames in waiting_for(awaited):
        if task is None:
            return other.kind == "thread" and frames[0] is _current_frames().get(other.thread_id)
        if of_task(task) is other or (other.kind == "thread" and _thread_of(task) == other.thread_id):
            return True  # a thread is who runs the loop where he was no task himself
    return False


def starter() -> Raw:
    """Give the nearest line of the application that called this, or awaits who did; empty where none is near."""
    frame: FrameType | None = _getframe(1)
    for _ in range(NEAR):
        if frame is None:
            return ()
        file = frame.f_code.co_filename
        if file in RUN_TASKS:
            break
        if is_application(file) and not generated(frame):
            if has_left_task(frame):
                break
            return ((frame.f_code, frame.f_lasti),)
        frame = frame.f_back
    task = _task()
    return () if task is None else of_waiting(task, 1)


def of_application(frames: list[FrameType], depth: int) -> Raw:
    """Give the raw stack from the innermost frame of the application on; empty where there is none."""
    first = (at for at, one in enumerate(frames) if is_application(one.f_code.co_filename) and not generated(one))
    at = next(first, None)
    return () if at is None else raw_of(frames[at : at + depth])


def raw_of(frames: list[FrameType]) -> Raw:
    """Keep some frames."""
    return tuple((frame.f_code, frame.f_lasti) for frame in frames)
