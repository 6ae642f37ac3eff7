"""Which connections code that runs will come to by name: what it goes on to read in the globals of its module."""

from __future__ import annotations

import contextlib
import dis
import gc
import types
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

from poolwatch.evidence.objects import attributes_of, body_of, classes_of, home_of, is_a, name_of
from poolwatch.libraries import POOL_LIBRARIES
from poolwatch.senses import stack

_GENERATED = (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)
_FRAMES = {types.CoroutineType: "cr_frame", types.GeneratorType: "gi_frame", types.AsyncGeneratorType: "ag_frame"}
_READS = {"LOAD_NAME", "LOAD_GLOBAL"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
_LONGEST_PATH = 4
_CALLED = (types.FunctionType, types.BuiltinFunctionType)
_CONTEXTS = (contextlib.ExitStack, contextlib.AsyncExitStack, *_GENERATED)
"""What will leave contexts that were entered, among them connections'."""
_NO_KEEPERS = (type, types.ModuleType, *_CALLED, list, dict, set, frozenset, tuple, deque)
"""What has no attributes of its own, or is a heap of whatever was put there."""
_HANDLES = ("Connection", "Session", "Fairy", "Proxy", "Transaction", "Result", "Cursor", "Client", "Transport")
_JUMPS = {*dis.hasjrel, *dis.hasjabs}


def read_by(coroutine: Any) -> list[Any]:
    """Give what a suspended coroutine goes on to read in the globals of its module."""
    frame = next((getattr(coroutine, name) for kind, name in _FRAMES.items() if type(coroutine) is kind), None)
    return [] if frame is None else still_read(frame)


def still_read(frame: types.FrameType) -> list[Any]:
    """Give the connections and sessions in plain names of a module that a running function or script goes on to read.

    So are those in plain attributes of what is named, as ``app.db``, and in those of an object of the application's
    whose methods are asked for, or that is passed on. What a program has put away elsewhere in its globals, as in a
    list, is nobody's in particular, and counts as left behind; but for a script's own, see ``script``.
    """
    code = frame.f_code
    if stack.is_library(code.co_filename):
        return []
    named = {name: dict.get(frame.f_globals, name) for name in code.co_names}
    if not _may_lead_to_handles(named):
        return []
    return [value for path in _read_after(frame) for value in _along(named, path)]


def _may_lead_to_handles(named: Mapping[str, Any]) -> bool:
    """Tell whether some path of the names leads to a handle: reading the bytecode of every frame would take long."""
    values = list(named.values())
    for _ in range(_LONGEST_PATH):
        if any(holds(value) or _kept_by(value) for value in values):
            return True
        inner = (found for value in values for found in _among(_named_in(value), named))
        values = list({id(value): value for value in inner}.values())
    return False


def _among(values: Mapping[str, Any], names: Iterable[str]) -> list[Any]:
    return [values[name] for name in names if name in values]


def _along(values: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
    """Give the first connection or session on a path of names; else those of the object where it leaves plain names."""
    for name, asked in zip(path, (*path[1:], ""), strict=True):
        value = values.get(name)
        if holds(value):
            return [value]
        values = _named_in(value)
        if asked not in values:
            return _kept_by(value)
    return []


def _kept_by(value: Any) -> list[Any]:
    """Give the connections and sessions that an object of the application's has: who reads it may go on to use them."""
    if is_a(value, _NO_KEEPERS):
        return []
    parts = [part for part in gc.get_referents(value) if type(part) is not dict]
    attributes = attributes_of(value) or {}
    found = [part for part in (*parts, *attributes.copy().values()) if holds(part)]
    return found if found and any(map(_is_application, classes_of(value))) else []


def _is_application(kind: type) -> bool:
    functions = (value for value in body_of(kind).copy().values() if type(value) is types.FunctionType)
    return any(not stack.is_library(function.__code__.co_filename) for function in functions)


def holds(value: Any) -> bool:
    """Tell whether this is a connection, a session or what comes of one, or a context that may give one back."""
    return is_a(value, _CONTEXTS) or _is_handle(value)


def _named_in(value: Any) -> Mapping[str, Any]:
    """Give what an object, a class or a module has by itself under plain names; asks no property for them."""
    if is_a(value, (type,)):
        return body_of(value)
    return {} if is_a(value, _CALLED) else (attributes_of(value) or {}).copy()


def _is_handle(value: Any) -> bool:
    """Tell whether this is a connection, a session or what comes of one: no engine, pool or registry of them."""
    return any(name_of(kind).endswith(_HANDLES) and is_of_pools(home_of(kind)) for kind in classes_of(value))


def is_of_pools(module: object) -> bool:
    """Tell whether what a class says its module is belongs to a library of pools or connections."""
    return type(module) is str and module.partition(".")[0] in POOL_LIBRARIES


def _read_after(frame: types.FrameType) -> set[tuple[str, ...]]:
    """Give the names, with the attributes asked of them, that code reads behind where it is, or again in its loop."""
    here = frame.f_lasti
    steps = list(dis.get_instructions(frame.f_code))
    back = [step.argval for step in steps if step.opcode in _JUMPS and step.offset > here >= step.argval]
    first = min([here, *back])
    return {_path(steps[at:]) for at, step in enumerate(steps) if step.opname in _READS and step.offset > first}


def _path(steps: list[dis.Instruction]) -> tuple[str, ...]:
    asked = takewhile(lambda step: step.opname in _ATTRIBUTES, steps[1 : _LONGEST_PATH + 1])
    return (steps[0].argval, *(step.argval for step in asked))
