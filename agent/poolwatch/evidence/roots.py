"""Where a walk begins: what the frames of living threads, tasks and greenlets hold, and the globals of modules."""

from __future__ import annotations

import asyncio
import dis
import gc
import sys
import types
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

from poolwatch.libraries import POOL_LIBRARIES
from poolwatch.senses import actor, greenlets, stack

_OPAQUE = (
    types.ModuleType, type, types.BuiltinFunctionType, types.CodeType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType, asyncio.AbstractEventLoop,
    weakref.ref,
)  # fmt: skip
_QUEUES = {deque, list, set, dict}
"""Where loops, asyncio's and uvloop's, have what they will call: a close that is scheduled reaches its connection."""
_AWAITS = ("cr_await", "gi_yieldfrom", "ag_await")
_READS = {"LOAD_NAME", "LOAD_GLOBAL"}
_JUMPS = {*dis.hasjrel, *dis.hasjabs}
# a class may have its attributes looked up by code of the application's; what the interpreter knows of it may not
_classes, _names, _modules, _bodies = (
    vars(type)[name].__get__ for name in ("__mro__", "__name__", "__module__", "__dict__")
)


def is_a(value: Any, kinds: tuple[type, ...]) -> bool:
    """Tell whether ``value`` is of one of the classes: ``isinstance`` would run the code of a proxy's ``__class__``."""
    return issubclass(type(value), kinds)


def classes_of(value: Any) -> tuple[type, ...]:
    """Give the class of ``value`` and those it derives from."""
    found: tuple[type, ...] = _classes(type(value))
    return found


def name_of(kind: type) -> str:
    """Give the name of a class."""
    name: str = _names(kind)
    return name


def body_of(kind: type) -> types.MappingProxyType[str, Any]:
    """Give what a class itself defines."""
    body: types.MappingProxyType[str, Any] = _bodies(kind)
    return body


class Leaves:
    """Tells through which objects nothing of the application's is reached; asks once a class.

    To be thrown away after a walk: classes are known by their ids, because hashing one may run its metaclass's code.
    """

    def __init__(self) -> None:
        self._known: dict[int, bool | None] = {}

    def has(self, value: Any) -> bool:
        """Tell whether nothing of the application's is reached through ``value``."""
        kind = type(value)
        try:
            leaf = self._known[id(kind)]
        except KeyError:
            leaf = self._known[id(kind)] = _always_a_leaf(kind)
        return not gc.is_tracked(value) if leaf is None else leaf


def _always_a_leaf(kind: type) -> bool | None:
    """Tell whether all objects of a class are leaves, or none; None where it is for the collector to say."""
    if issubclass(kind, greenlets.kinds):
        return False  # the collector does not track one that is suspended
    return True if issubclass(kind, _OPAQUE) else None


def living() -> Iterator[list[Any]]:
    """Give, for each living thread, task, greenlet and queue of a loop, what it holds."""
    for ident in list(sys._current_frames()):
        yield _held_by_thread(ident)
    for task in _tasks():
        yield list(_chain(task.get_coro()))
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
    return isinstance(file, str) and not stack.is_library(file) and not name.startswith("poolwatch")


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
    """Give what a frame and those that called it have in their locals."""
    while frame is not None:
        if frame.f_code.co_flags & 2:  # CO_NEWLOCALS: not a module's or a class body's frame
            yield from _fast_locals(frame)
        elif frame.f_locals is frame.f_globals:
            yield from _still_read(frame)
        frame = frame.f_back


def _fast_locals(frame: types.FrameType) -> list[Any]:
    names = frame.f_locals
    values = list(names.values())
    # before 3.13 this dict is the frame's own copy, which would keep what it holds alive; nobody else may have it
    if type(names) is dict and sys.getrefcount(names) <= 3:
        names.clear()
    return values


def _still_read(frame: types.FrameType) -> list[Any]:
    """Give the connections and sessions that a running script has in plain names and goes on to read.

    What it has put away elsewhere in its globals is nobody's in particular, and counts as left behind.
    """
    handles = {name: value for name, value in frame.f_globals.copy().items() if _is_handle(value)}
    return [handles[name] for name in _read_after(frame) & handles.keys()] if handles else []


def _is_handle(value: Any) -> bool:
    modules = [_modules(kind) for kind in classes_of(value)]
    return any(type(name) is str and name.partition(".")[0] in POOL_LIBRARIES for name in modules)


def _read_after(frame: types.FrameType) -> set[Any]:
    """Give the names that a module's code reads behind the line where it is, or again in the loop it is in."""
    here = frame.f_lasti
    steps = list(dis.get_instructions(frame.f_code))
    back = [step.argval for step in steps if step.opcode in _JUMPS and step.offset > here >= step.argval]
    return {step.argval for step in steps if step.opname in _READS and step.offset > min([here, *back])}
