"""Who can still reach a handle: a bounded walk from above, in slices, that never stops the program.

Two questions. Does the frame of somebody alive reach it? Then it was handed over. If not, which name keeps it: a
module's global, or only a dead frame or traceback? Handles are compared by id; nothing is kept after the walk.
Walking down from frames and modules is some thousand cheap steps; ``gc.get_referrers`` would scan the whole heap
with every thread stopped (17 ns an object).
"""

from __future__ import annotations

import asyncio
import gc
import sys
import types
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

from poolwatch.native import sleep
from poolwatch.senses import actor, stack

_SLICE = 500
_LIVING = (20_000, 12)
_MODULES = (60_000, 8)
_MAX_SECONDS = 0.5
_OPAQUE = (
    types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType, asyncio.AbstractEventLoop,
    weakref.ref, str, bytes, bytearray, int, float, complex, bool, type(None), type(...),
)  # fmt: skip
_BOOKS = {"PoolConnectionHolder"}
"""Classes with which a pool keeps account of what it has lent: reaching a handle by them is holding nothing."""
_SUSPENDABLE = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
_DEAD = (types.FrameType, types.TracebackType)
_LOOP_QUEUES = ("_ready", "_scheduled")
"""What asyncio's own loops will call: a close that is scheduled reaches its connection from there."""
_NOT_SOMEBODY = (asyncio.Task, *_DEAD)


class _Node:
    """One step of a walk: the object, how it was reached, and from where."""

    __slots__ = ("depth", "label", "subject", "up")

    def __init__(self, subject: Any, label: str, up: _Node | None) -> None:
        self.subject = subject
        self.label = label
        self.up = up
        self.depth: int = 0 if up is None else up.depth + 1

    def path(self) -> str:
        labels: list[str] = []
        node: _Node | None = self
        while node is not None:
            labels.append(node.label)
            node = node.up
        return "".join(reversed(labels))


def by_living_frames(targets: set[int]) -> set[int]:
    """Give those ids of ``targets`` that the frame of a living thread, task or greenlet reaches."""
    found: set[int] = set()
    for roots in _living_roots():
        found |= _walk(roots, targets - found, _LIVING, _NOT_SOMEBODY).keys()
    return found


def by_modules(targets: set[int]) -> dict[int, tuple[str, bool]]:
    """Give for each id that a module's globals reach the path to it, and whether only a dead frame leads there."""
    direct = _walk(_module_roots(), targets, _MODULES, (*_DEAD, asyncio.Task))
    dead = _walk(_module_roots(), targets - direct.keys(), _MODULES, ())
    return {key: (path, False) for key, path in direct.items()} | {key: (path, True) for key, path in dead.items()}


def _walk(
    roots: Iterable[_Node], targets: set[int], bounds: tuple[int, int], opaque: tuple[type, ...]
) -> dict[int, str]:
    """Walk breadth first from ``roots``; gives the path to each target found."""
    budget, depth = bounds
    found: dict[int, str] = {}
    seen: set[int] = set()
    until = monotonic() + _MAX_SECONDS
    level, below = deque(roots), deque[_Node]()
    steps = 0
    candidates = iter(level)
    while targets - found.keys():
        for node in candidates:
            steps += 1
            if steps % _SLICE == 0:
                if steps > budget or monotonic() > until:
                    return found
                sleep(0)
            if id(node.subject) in targets:
                found.setdefault(id(node.subject), node.path())
            elif id(node.subject) not in seen and _goes_on(node, opaque, depth):
                seen.add(id(node.subject))
                below.append(node)
        if not below:
            return found
        candidates = _children(below.popleft())
    return found


def _goes_on(node: _Node, opaque: tuple[type, ...], depth: int) -> bool:
    subject = node.subject
    return not isinstance(subject, opaque) and type(subject).__name__ not in _BOOKS and node.depth < depth


def _children(node: _Node) -> Iterator[_Node]:
    subject = node.subject
    if type(subject) is dict:
        for key, value in list(subject.items()):
            if not isinstance(value, _OPAQUE):
                yield _Node(value, _key_label(node, key), node)
    elif type(subject) in (list, tuple):
        for index, value in enumerate(list(subject)):
            if not isinstance(value, _OPAQUE):
                yield _Node(value, f"[{index}]", node)
    else:
        names = _attributes(subject)
        for value in _referents(subject):
            if not isinstance(value, _OPAQUE):
                yield _Node(value, names.get(id(value), _step_label(value)), node)


def _referents(subject: Any) -> list[Any]:
    found = gc.get_referents(subject)
    if sys.version_info < (3, 11) and isinstance(subject, _SUSPENDABLE):
        # later versions give a generator's locals as its own referents
        found += [value for frame in found if isinstance(frame, types.FrameType) for value in _held_by(frame)]
    return found


def _held_by(frame: types.FrameType) -> Iterator[Any]:
    """Give what a frame's locals and its stack refer to: globals are nobody's, and a caller has a frame of his own."""
    others = {id(frame.f_globals), id(frame.f_builtins), id(frame.f_back)}
    return (value for value in gc.get_referents(frame) if id(value) not in others)


def _attributes(subject: Any) -> dict[int, str]:
    try:
        values = object.__getattribute__(subject, "__dict__")
    except AttributeError:
        return {}
    if type(values) is not dict:
        return {}
    return {id(values): ""} | {id(value): f".{name}" for name, value in list(values.items())}


def _key_label(node: _Node, key: object) -> str:
    """Give the label of an entry; of keys only plain text and numbers are shown, others are the host's code to run."""
    if type(key) is str:
        return f".{key}" if node.label == "" and node.up is not None else f"[{key!r}]"
    return f"[{key}]" if type(key) is int else f"[<{type(key).__name__}>]"


def _step_label(value: object) -> str:
    if isinstance(value, types.FrameType):
        return f" > frame of {value.f_code.co_name}"
    if isinstance(value, types.TracebackType):
        return " > traceback"
    return f" > {type(value).__name__}" if not isinstance(value, (dict, list, tuple)) else ""


def _module_roots() -> Iterator[_Node]:
    """Give the globals of every module that is not a library's, the main module first."""
    for name, module in sorted(sys.modules.items(), key=lambda item: item[0] != "__main__"):
        file = getattr(module, "__file__", None) or ""
        if name == "__main__" or (file and not stack.is_library(file) and not name.startswith("poolwatch")):
            for key, value in list(vars(module).items()):
                if not isinstance(value, _OPAQUE):
                    yield _Node(value, f"{name}.{key}", None)


def _living_roots() -> Iterator[list[_Node]]:
    for frame in sys._current_frames().values():
        yield [_Node(value, "", None) for value in _locals_of(_not_ours(frame))]
    for task in _tasks():
        yield [_Node(coroutine, "", None) for coroutine in _chain(task.get_coro())]
    for loop in actor.loops():
        yield [_Node(handle, "", None) for name in _LOOP_QUEUES for handle in list(getattr(loop, name, ()))]
    for greenlet in actor.known_greenlets():
        if not greenlet.dead and greenlet.gr_frame is not None:
            yield [_Node(value, "", None) for value in _locals_of(greenlet.gr_frame)]


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
    while coroutine is not None and hasattr(coroutine, "__class__"):
        yield coroutine
        coroutine = next(
            (getattr(coroutine, name) for name in ("cr_await", "gi_yieldfrom", "ag_await") if hasattr(coroutine, name)),
            None,
        )


def _locals_of(frame: types.FrameType | None) -> Iterator[Any]:
    while frame is not None:
        if frame.f_code.co_flags & 2:  # CO_NEWLOCALS: not a module's or a class body's frame
            yield from _fast_locals(frame)
        frame = frame.f_back


def _not_ours(frame: types.FrameType | None) -> types.FrameType | None:
    """Skip poolwatch's own innermost frames: nothing of the watcher's, but the host's that asked for a look."""
    while frame is not None and frame.f_code.co_filename.startswith(stack.OUR_FOLDER):
        frame = frame.f_back
    return frame


def _fast_locals(frame: types.FrameType) -> list[Any]:
    names = frame.f_locals
    values = [value for value in list(names.values()) if not isinstance(value, _OPAQUE)]
    # before 3.13 this dict is the frame's own copy, which would keep what it holds alive; nobody else may have it
    if type(names) is dict and sys.getrefcount(names) <= 3:
        names.clear()
    return values
