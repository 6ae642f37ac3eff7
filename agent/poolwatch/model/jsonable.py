"""Values of this package as what ``json.dumps`` takes."""

from __future__ import annotations

import dataclasses
from functools import cache
from math import inf
from typing import Any

Json = dict[str, Any]
_AS_THEY_ARE = frozenset({int, str, bool, type(None)})


def plain(value: Any) -> Any:
    """Turn dataclasses, tuples and sets into dicts and lists; infinity becomes ``"+Inf"``.

    A dataclass may name the fields it shows in ``JSON``; a field ``cls`` is shown as ``class``.
    """
    kind: Any = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is float:
        return "+Inf" if value == inf else value
    if kind is tuple or kind is list:
        return [
            item if (of := type(item)) in _AS_THEY_ARE or (of is float and item != inf) else plain(item)
            for item in value
        ]
    if hasattr(kind, "__dataclass_fields__"):
        return {
            shown: item
            if (of := type(item := getattr(value, name))) in _AS_THEY_ARE or (of is float and item != inf)
            else plain(item)
            for shown, name in _fields(kind)
        }
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in value]
    return value


@cache
def _fields(kind: Any) -> list[tuple[str, str]]:
    names = getattr(kind, "JSON", None) or [field.name for field in dataclasses.fields(kind)]
    return [("class" if name == "cls" else name, name) for name in names]
