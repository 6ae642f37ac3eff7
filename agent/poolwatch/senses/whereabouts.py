"""Where somebody else is now: the stack of another actor, and whether it waits for somebody.

Only for rare paths and the watcher: it looks into other threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from opcode import opname
from types import FrameType

from poolwatch.senses import stack
from poolwatch.senses.actor import Actor

_WAITING_FILES = {
    "threading.py", "queue.py", "queues.py", "locks.py", "_base.py", "futures.py", "taskgroups.py", "base_events.py",
    "runners.py", "pool.py", "thread.py", "timeouts.py", "selectors.py",
}  # fmt: skip
_WAITING_FUNCTIONS = {"wait", "wait_for", "_wait", "gather", "shield", "join", "result", "acquire", "get", "put"}
_ENTERING = {"SETUP_WITH", "BEFORE_WITH"}


def frames_of(actor: Actor) -> list[FrameType]:
    """Give the frames where ``actor`` is now, innermost first; empty where it cannot be seen.

    The caller must drop them at once.
    """
    if actor.kind == "task":
        task = actor.ref() if actor.ref else None
        if task is None or task.done():
            return []
        suspended = list(stack.coroutine_frames(task.get_coro()))
        return list(reversed(suspended))
    if actor.kind == "greenlet":
        greenlet = actor.ref() if actor.ref else None
        return _chain(greenlet.gr_frame if greenlet is not None else None)
    return _chain(sys._current_frames().get(actor.thread_id))


def _chain(frame: FrameType | None) -> list[FrameType]:
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def stack_of(actor: Actor, depth: int) -> stack.Raw:
    """Give the raw stack where ``actor`` is now, from its first application frame, else from outside the libraries."""
    frames = [frame for frame in frames_of(actor) if not stack.generated(frame)]
    start = _first(frames, stack.is_library)
    if start is None:
        start = _first(frames, stack.inside.__getitem__) or 0
    return tuple((frame.f_code, frame.f_lasti) for frame in frames[start : start + depth])


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
