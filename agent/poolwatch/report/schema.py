"""Checks that a value has the shape ``report.schema.json`` describes, with the standard library alone.

It knows the few keywords that schema uses and refuses to know more: a report read from a disk is somebody else's
bytes, and what reads it afterwards relies on its types. The tests compare it with a complete validator.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from importlib.resources import files
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@functools.cache
def report_schema() -> dict[str, Any]:
    """Load the JSON Schema of the report."""
    text = files("poolwatch").joinpath("report.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def problem(report: object) -> str | None:
    """Say what in ``report`` is against the schema, with its place; None where it is a report."""
    return None if _whole_test()(report) else _problem(report, report_schema(), "report")


_Test = Callable[[Any], bool]


@functools.cache
def _whole_test() -> _Test:
    """Compile the schema: most files are reports, and a host has hundreds of them to read."""
    return _test(report_schema())


@functools.cache
def _definition(name: str) -> _Test:
    return _test(report_schema()["$defs"][name])


def _test(schema: dict[str, Any]) -> _Test:
    if "$ref" in schema:
        return _definition(schema["$ref"].rsplit("/", 1)[1])
    kinds = schema.get("type", list(_TYPES))
    types = frozenset(one for kind in ([kinds] if isinstance(kinds, str) else kinds) for one in _TYPES[kind])
    allowed = [schema["const"]] if "const" in schema else schema.get("enum")
    inside = {dict: _object_test(schema), list: _list_test(schema), float: math.isfinite}

    def test(value: Any) -> bool:
        kind = type(value)
        if kind not in types or (allowed is not None and value not in allowed):
            return False
        return kind not in inside or inside[kind](value)

    return test


def _list_test(schema: dict[str, Any]) -> _Test:
    item = _test(schema["items"]) if "items" in schema else None
    return lambda value: item is None or all(map(item, value))


def _object_test(schema: dict[str, Any]) -> _Test:
    required, others = frozenset(schema.get("required", ())), schema.get("additionalProperties")
    known = {name: _test(rule) for name, rule in schema.get("properties", {}).items()}
    other = _test(others) if isinstance(others, dict) else _anything

    def test(value: dict[str, Any]) -> bool:
        return required <= value.keys() and all(known.get(name, other)(item) for name, item in value.items())

    return test


def _anything(value: object) -> bool:
    return True


def _problem(value: object, schema: dict[str, Any], place: str) -> str | None:
    if "$ref" in schema:
        schema = report_schema()["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return _unlike(value, schema, place) or _inside(value, schema, place)


def _unlike(value: object, schema: dict[str, Any], place: str) -> str | None:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{place} is {type(value).__name__}, not {' or '.join(kinds)}"
    allowed = [schema["const"]] if "const" in schema else schema.get("enum")
    if allowed is not None and value not in allowed:
        return f"{place} is {value!r:.60}, not {' or '.join(map(str, allowed))}"
    return None


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind]) and (not isinstance(value, float) or math.isfinite(value))


def _inside(value: object, schema: dict[str, Any], place: str) -> str | None:
    if isinstance(value, dict):
        return _object(value, schema, place)
    if isinstance(value, list) and "items" in schema:
        problems = (_problem(item, schema["items"], f"{place}[{index}]") for index, item in enumerate(value))
        return next(filter(None, problems), None)
    return None


def _object(value: dict[str, Any], schema: dict[str, Any], place: str) -> str | None:
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        return f"{place} has no {missing[0]!r}"
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, item in value.items():
        rule = known.get(name, others)
        found = _problem(item, rule, f"{place}.{name:.60}") if isinstance(rule, dict) else None
        if found:
            return found
    return None
