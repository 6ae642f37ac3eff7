"""What the names in a frame lead to: ``lock``, ``self.db.lock``, ``LOCKS[key]``, and what a block that it opens names.

For rare paths only. It runs none of the application's code: it asks no property, and looks no key up.
"""

from __future__ import annotations

import gc
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import AsyncExitStack, ExitStack, _AsyncGeneratorContextManager, _GeneratorContextManager
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR, CO_NEWLOCALS
from itertools import chain, islice
from typing import Any

from poolwatch.senses.awaited import fast_locals

_DEEP = 4
"""Names, one after the other: ``self.repository.database.lock``."""
_MOST = 200
"""Attributes of an object, or entries; what is larger is some other container."""
_MOST_VALUES = 5000
"""In all, which takes a millisecond or two."""
_HEAP_TYPE = 1 << 9
"""Of a class that is not built in: its objects may have attributes."""
_CLOSED = (dict, list, set, frozenset, tuple, deque, type, types.ModuleType, Executor)
"""Whose attributes are not all looked at: containers may be huge, and an executor's semaphores are its own."""
_BLOCKS = {id(_GeneratorContextManager), id(_AsyncGeneratorContextManager)}
_STACKS = {id(ExitStack), id(AsyncExitStack)}
"""Ids of classes, because hashing or comparing one of the application's may run its metaclass's code."""
_Names = tuple[str, ...]
_Step = tuple[Any, _Names]
"""A value, and the names by which to go on from there."""
_flags: Callable[[type], int] = vars(type)["__flags__"].__get__
_dict: Callable[[type], Any] = vars(type)["__dict__"].__get__
mro: Callable[[type], tuple[type, ...]] = vars(type)["__mro__"].__get__


def values(frames: Iterable[types.FrameType]) -> Iterator[Any]:
    """Give what the names in some frames lead to, each once, and what is there one attribute or entry on."""
    return islice(_led_to(frames), _MOST_VALUES)


def _led_to(frames: Iterable[types.FrameType]) -> Iterator[Any]:
    seen: dict[int, Any] = {}  # with the objects themselves, because the id of one that is gone may be another's
    gone_on: set[tuple[int, int]] = set()
    for frame in frames:
        near = _begin(frame)
        for _ in range(_DEEP):
            farther: list[_Step] = []
            for value, names in near[:_MOST]:
                if id(value) not in seen:
                    seen[id(value)] = value
                    yield value
                    yield from _parts(value)
                if (id(value), id(names)) not in gone_on:
                    gone_on.add((id(value), id(names)))
                    farther += _on(value, names)
            near = farther


def _begin(frame: types.FrameType) -> list[_Step]:
    names = frame.f_code.co_names
    found = _of(frame.f_globals, names)
    if frame.f_code.co_flags & CO_NEWLOCALS:
        found += fast_locals(frame)
    return [(value, names) for value in found]


def _parts(value: Any) -> Iterator[Any]:
    """Give all attributes of an object, or all entries of a small container."""
    kind = type(value)
    if issubclass(kind, threading.Thread):
        own = object.__getattribute__(value, "__dict__").copy()
        own.pop("_tstate_lock", None)  # is held as long as the thread lives
        yield from own.values()
    elif _flags(kind) & _HEAP_TYPE and not issubclass(kind, _CLOSED):
        for referent in gc.get_referents(value):
            yield referent
            for part in _entries(referent):  # those of its ``__dict__``, where it has one
                yield part
                yield from _entries(part)
    else:
        yield from _entries(value)


def _entries(value: Any) -> list[Any]:
    kind = type(value)
    if issubclass(kind, dict):
        return list(dict.values(value)) if dict.__len__(value) <= _MOST else []
    if issubclass(kind, list):
        return list.copy(value) if list.__len__(value) <= _MOST else []
    if issubclass(kind, tuple):
        return list(islice(tuple.__iter__(value), _MOST))
    return []


def _on(value: Any, names: _Names) -> list[_Step]:
    """Give where names lead from a value, and what is named in the blocks that are opened with it."""
    kind = type(value)
    if kind is types.FunctionType:
        return _within(value)
    if id(kind) in _BLOCKS:
        return _suspended(member(value, "gen"))
    if id(kind) in _STACKS:
        return [(owner, names) for owner in _entered(value)]
    if issubclass(kind, types.ModuleType):
        return [(found, names) for found in _of(object.__getattribute__(value, "__dict__"), names)]
    if issubclass(kind, type):
        return [*_by_name(value, names, _in_class), *_when_entered(value)]
    return _by_name(value, names, member) if _flags(kind) & _HEAP_TYPE else []


def _by_name(value: Any, names: _Names, get: Callable[[Any, str], Any]) -> list[_Step]:
    steps: list[_Step] = []
    for name in names:
        found = get(value, name)
        inner = _of_block(found)
        if inner is not None:
            steps += [(value, inner.__code__.co_names), *_named_in(inner)]
        elif found is not None:
            steps.append((found, names))
    return steps


def member(value: Any, name: str) -> Any:
    """Give an attribute as it lies in an object, or else in its class; None where there is none."""
    found = _in_class(type(value), name)
    if found is not None and type(found) is not types.MemberDescriptorType:
        return found
    try:  # its class has a slot of that name, or nothing that could run
        return object.__getattribute__(value, name)
    except AttributeError:
        return None


def _in_class(kind: type, name: str) -> Any:
    for base in mro(kind):
        found = _dict(base).get(name)
        if found is not None:
            return found
    return None


def _when_entered(kind: type) -> Iterator[_Step]:
    """Give what is named where a ``with`` begins that makes its object itself: no name leads to that."""
    for name in ("__enter__", "__aenter__"):
        enter = _in_class(kind, name)
        if type(enter) is types.FunctionType:
            yield from _named_in(enter)


def _within(function: types.FunctionType) -> list[_Step]:
    """Give what a function names: all where it makes a block, else containers, out of which it may give one thing."""
    inner = _of_block(function)
    if inner is not None:
        return _named_in(inner)
    return [step for step in _named_in(function) if issubclass(type(step[0]), (dict, list))]


def _of_block(function: Any) -> types.FunctionType | None:
    """Give the generator function of which ``contextlib`` has made a ``function``; None where it is none of these."""
    if type(function) is classmethod or type(function) is staticmethod:
        function = function.__func__
    for _ in range(_DEEP):
        if type(function) is not types.FunctionType:
            break
        function = function.__dict__.get("__wrapped__")
        if type(function) is types.FunctionType and function.__code__.co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR):
            return function
    return None


def _named_in(function: types.FunctionType) -> list[_Step]:
    names = function.__code__.co_names
    cells = chain.from_iterable(gc.get_referents(cell) for cell in function.__closure__ or ())
    return [(value, names) for value in (*_of(function.__globals__, names), *cells)]


def _suspended(generator: Any) -> list[_Step]:
    """Give what is named in the frame of a generator that stands at its ``yield``."""
    frame = None
    if type(generator) is types.GeneratorType:
        frame = generator.gi_frame
    elif type(generator) is types.AsyncGeneratorType:
        frame = generator.ag_frame
    return _begin(frame) if frame is not None else []


def _entered(stack: Any) -> list[Any]:
    """Give what was entered with an ExitStack."""
    exits = member(stack, "_exit_callbacks")
    leaving = [entry[1] for entry in exits.copy()] if type(exits) is deque else []
    return [leave.__self__ for leave in leaving if type(leave) is types.MethodType]


def _of(known: dict[str, Any], names: _Names) -> list[Any]:
    if type(known) is not dict:
        return []
    return [value for name in names if (value := known.get(name)) is not None]
