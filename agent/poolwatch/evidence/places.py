"""Places: plain names in which an application keeps a connection for whoever comes.

A thread or task that opens a connection at the start, and ends, may have put it where others will look for it: into a
global, or an attribute of a class or of an object that the globals name. Such a name is a place made for it where some
function reads it that has not written it itself before. What lies in a list or under a key has no name of its own.
"""

from __future__ import annotations

import dis
import functools
import gc
import sys
import types
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from threading import local
from typing import Any, NamedTuple

from poolwatch.evidence import roots
from poolwatch.evidence.bytecode import comes_to, steps_of
from poolwatch.evidence.names import holds
from poolwatch.evidence.objects import attributes_of, body_of, classes_of, is_a
from poolwatch.evidence.ways import Node
from poolwatch.host.native import sleep

_SLICE = 500
_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME"}, {"STORE_GLOBAL", "STORE_NAME", "DELETE_GLOBAL", "DELETE_NAME"}
_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"}, {"STORE_ATTR", "DELETE_ATTR"}
"""Steps that read a name, and steps that write it."""
_AT_ONCE = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"}
"""Functions that belong to the step which makes them."""
_WRAPPERS = (classmethod, staticmethod, property, functools.cached_property)
_DECORATORS = 4


class Place(NamedTuple):
    """A plain name, and how functions come to it."""

    name: str
    module: types.ModuleType
    is_global: bool
    around: set[int]
    """Ids of what a function may name to come to it: the module, classes and objects on the way."""
    methods: set[int]
    """Ids of the code of the methods of the object or class that has the name."""


def read(lying: Mapping[int, Place], in_time: Callable[[], bool]) -> set[int]:
    """Give the ids of those handles whose place some function reads, as far as can be told ``in_time``."""
    named: dict[str, list[tuple[int, Place]]] = defaultdict(list)
    for key, place in lying.items():
        named[place.name].append((key, place))
    found = set[int]()
    functions = _functions(in_time)
    while len(found) < len(lying) and (function := next(functions, None)) is not None:
        found.update(_read_by(function, named))
    return found


def _read_by(function: types.FunctionType, named: Mapping[str, list[tuple[int, Place]]]) -> Iterator[int]:
    for code in _codes(function.__code__):
        for name in code.co_names:
            for key, place in named.get(name, ()):
                if _is_read(place, code, function.__globals__):
                    yield key


def _is_read(place: Place, code: types.CodeType, names: dict[str, Any]) -> bool:
    if place.is_global and names is _names_of(place.module):
        return _wants(code, place.name, False)
    leads_there = id(code) in place.methods or any(_leads_to(place, names, name) for name in code.co_names)
    return leads_there and _wants(code, place.name, True)


def _leads_to(place: Place, names: dict[str, Any], name: str) -> bool:
    value = dict.get(names, name)
    if value is None:  # a function may import what it needs itself
        return name == place.module.__name__.rpartition(".")[2]
    return id(value) in place.around


@lru_cache(maxsize=512)
def _wants(code: types.CodeType, name: str, is_attribute: bool) -> bool:
    """Tell whether a function may read a global, or an attribute of whatever, that it has not written before."""
    steps = steps_of(code)
    reads, writes = _ATTRIBUTE if is_attribute else _GLOBAL

    def is_reading(step: dis.Instruction) -> bool:
        if type(step.argval) is types.CodeType:
            return step.argval.co_name in _AT_ONCE and _wants(step.argval, name, is_attribute)
        return step.argval == name and step.opname in reads

    wanted = {at for at, step in enumerate(steps) if is_reading(step)}
    return comes_to(steps, 0, wanted.__contains__, lambda step: step.argval == name and step.opname in writes)


def of(found: Node) -> Place | None:
    """Give the place that a way from a module's globals leads to; None where it goes by more than plain names."""
    way = _own(found)
    names = [_name_of(*step) for step in pairwise(way)]
    module, kind, name = _home_of(way[0])
    if module is None or None in names or any(is_a(node.subject, (local,)) for node in way):
        return None
    objects = [node.subject for node, inner in zip(way, [name, *names], strict=True) if inner][:-1]
    holders = [*([] if kind is None else [kind]), *objects]
    kinds = classes_of(objects[-1]) if objects else holders
    around = {id(holder) for holder in (module, *holders, *map(type, objects))}
    methods = {id(code) for kind in kinds for value in body_of(kind).copy().values() for code in _codes_of(value)}
    return Place(next((name for name in names[::-1] if name), name), module, not holders, around, methods)


def _own(found: Node) -> list[Node]:
    """Give the steps of a way, from the module down, as far as they are the application's."""
    way = list(found.way())[::-1]
    last = next((at for at, node in enumerate(way) if holds(node.subject)), len(way) - 1)
    return way[: last + 1]


def _home_of(root: Node) -> tuple[types.ModuleType | None, type | None, str]:
    """Give the module, the class where it is in one, and the name by which a walk began."""
    above, _, name = root.label.rpartition(".")
    module = _module(above)
    if module is not None:
        return module, None, name
    above, _, kind = above.rpartition(".")
    module = _module(above)
    return module, None if module is None else _names_of(module).get(kind), name


def _module(name: str) -> types.ModuleType | None:
    module = sys.modules.get(name)
    return module if is_a(module, (types.ModuleType,)) else None


def _name_of(up: Node, node: Node) -> str | None:
    """Give the plain name of a step: empty for the dictionary of an object's attributes, None where it has none."""
    if attributes_of(up.subject) is node.subject:
        return ""
    return node.label[1:] if node.label.startswith(".") else _slot(up.subject, node.subject)


def _slot(holder: Any, value: Any) -> str | None:
    for kind in classes_of(holder):
        for name, slot in body_of(kind).copy().items():
            if type(slot) is types.MemberDescriptorType and _is_in(slot, holder, value):
                return name
    return None


def _is_in(slot: types.MemberDescriptorType, holder: Any, value: Any) -> bool:
    try:
        return slot.__get__(holder) is value
    except AttributeError:
        return False


def _functions(in_time: Callable[[], bool]) -> Iterator[types.FunctionType]:
    """Give the functions and methods of the application's modules, in slices that never stop the program."""
    for number, (_, value) in enumerate(roots.modules(), 1):
        if number % _SLICE == 0:
            if not in_time():
                return
            sleep(0)
        yield from _functions_of(value)


def _functions_of(value: Any, depth: int = _DECORATORS) -> Iterator[types.FunctionType]:
    """Give a function, or those that a method, a property or a decorator's object has in it."""
    if type(value) is types.FunctionType:
        yield value
    for part in _parts(value) if depth else ():
        if type(part) in (types.FunctionType, *_WRAPPERS):
            yield from _functions_of(part, depth - 1)


def _parts(value: Any) -> list[Any]:
    if type(value) in _WRAPPERS:
        return gc.get_referents(value)
    return [] if is_a(value, (types.ModuleType,)) else list((attributes_of(value) or {}).values())


def _codes_of(value: Any) -> Iterator[types.CodeType]:
    return (code for function in _functions_of(value) for code in _codes(function.__code__))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Give the code of a function and of those made in it, but for what belongs to the step that makes it."""
    yield code
    for inner in code.co_consts:
        if type(inner) is types.CodeType and inner.co_name not in _AT_ONCE:
            yield from _codes(inner)


def _names_of(module: types.ModuleType) -> dict[str, Any]:
    names: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return names
