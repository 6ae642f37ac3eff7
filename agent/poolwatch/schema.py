"""Checks that a value has the shape ``report.schema.json`` describes, with the standard library alone.

It knows the few keywords that schema uses and refuses to know more: a report read from a disk is somebody else's
bytes, and what reads it afterwards relies on its types. The tests compare it with a complete validator.
"""

from __future__ import annotations

import functools
import json
import math
import os
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
    with open(os.path.join(os.path.dirname(__file__), "report.schema.json"), encoding="utf-8") as file:
        schema: dict[str, Any] = json.load(file)
    return schema


def problem(report: object) -> str | None:
    """Say what in ``report`` is against the schema, with its place; None where it is a report."""
    return _problem(report, report_schema(), "report")


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
