"""Where somebody else is now: the stack of another actor, and whether it waits for somebody.

Only for rare paths and the watcher: it looks into other threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from opcode import opname
from types import CodeType, FrameType

from poolwatch.senses import stack
from poolwatch.senses.actors import Actor
from poolwatch.senses.awaited import chain, coroutine_frames
from poolwatch.senses.behind import of_application, of_starter, of_waiting, raw_of
from poolwatch.senses.files import is_runner

_WAITING_FILES = {
    "threading.py", "queue.py", "queues.py", "locks.py", "_base.py", "futures.py", "taskgroups.py", "base_events.py",
    "runners.py", "pool.py", "thread.py", "timeouts.py", "selectors.py",
}  # fmt: skip
_WAITING_FUNCTIONS = {"wait", "wait_for", "_wait", "gather", "shield", "join", "result", "acquire", "get", "put"}
_WORKERS = {
    "_worker": os.path.join("concurrent", "futures", "thread.py"),
    "run": os.path.join("anyio", "_backends", "_asyncio.py"),
}
_NOWHERE = "\0"
_ENTERING = {"SETUP_WITH", "BEFORE_WITH"}


def frames_of(actor: Actor) -> list[FrameType]:
    """Give the frames where ``actor`` is now, innermost first; empty where it cannot be seen.

    The caller must drop them at once.
    """
    if actor.kind == "task":
        task = actor.ref() if actor.ref else None
        if task is None or task.done():
            return []
        return list(coroutine_frames(task.get_coro()))[::-1]
    if actor.kind == "greenlet":
        greenlet = actor.ref() if actor.ref else None
        return list(chain(greenlet.gr_frame if greenlet is not None else None))
    return list(chain(sys._current_frames().get(actor.thread_id)))


def stack_of(actor: Actor, depth: int) -> stack.Raw:
    """Give the raw stack where ``actor`` is now, from its first application frame; else of who stands behind it.

    Where that cannot be seen either, from outside the libraries.
    """
    frames = [frame for frame in frames_of(actor) if not stack.generated(frame)]
    found = of_application(frames, depth) or _behind(actor, frames, depth)
    if found:
        return found
    start = _first(frames, lambda file: stack.inside[file] or is_runner(file)) or 0
    return raw_of(frames[start : start + depth])


def _behind(actor: Actor, frames: list[FrameType], depth: int) -> stack.Raw:
    task = actor.ref() if actor.kind == "task" and actor.ref else None
    return of_starter(frames, depth) if task is None else of_waiting(task, depth)


def is_worker(actor: Actor) -> bool:
    """Tell whether ``actor`` is a thread that runs one piece of work after the other: of an executor, or of anyio."""
    return any(_is_workers(frame.f_code) for frame in frames_of(actor))


def _is_workers(code: CodeType) -> bool:
    return code.co_filename.endswith(_WORKERS.get(code.co_name, _NOWHERE))


def _first(frames: list[FrameType], passed: Callable[[str], bool]) -> int | None:
    return next((i for i, frame in enumerate(frames) if not passed(frame.f_code.co_filename)), None)


def waits_for_others(actor: Actor) -> bool:
    """Tell whether ``actor`` is blocked on a lock, queue, future, thread or task: somebody else moves on for it."""
    frames = frames_of(actor)
    for frame in frames:
        code = frame.f_code
        if not stack.is_library(code.co_filename):
            return frame is frames[0] and _is_at_a_lock(frame)
        if os.path.basename(code.co_filename) in _WAITING_FILES or code.co_name in _WAITING_FUNCTIONS:
            return True
    return True


def _is_at_a_lock(frame: FrameType) -> bool:
    """Tell whether an innermost frame stands before a lock: those are of C, and have no frame of their own."""
    code = frame.f_code
    step = opname[code.co_code[frame.f_lasti]]
    return step in _ENTERING or (step.startswith("CALL") and "acquire" in code.co_names)
