"""How objects of the application's are looked at without running any code of theirs."""

from __future__ import annotations

import asyncio
import gc
import types
import weakref
from typing import Any

from poolwatch.senses import greenlets

_OPAQUE = (
    types.ModuleType, type, types.BuiltinFunctionType, types.CodeType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType, asyncio.AbstractEventLoop,
    weakref.ref,
)  # fmt: skip
_SLOTS = (types.GetSetDescriptorType, types.MemberDescriptorType)
# a class may have its attributes looked up by code of the application's; what the interpreter knows of it may not
_classes, _names, _homes, _bodies = (
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


def home_of(kind: type) -> object:
    """Give what a class says its module is: a name, unless the application made it something else."""
    found: object = _homes(kind)
    return found


def attributes_of(subject: Any) -> dict[str, Any] | None:
    """Give the dictionary of an object's attributes, where it has one, without running code of the application's."""
    bodies = map(body_of, classes_of(subject))
    own: Any = next((body["__dict__"] for body in bodies if "__dict__" in body), None)
    values = own.__get__(subject) if is_a(own, _SLOTS) else None
    return values if type(values) is dict else None


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
