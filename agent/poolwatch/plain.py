"""Values of this package as what ``json.dumps`` takes."""

from __future__ import annotations

import dataclasses
from typing import Any

Json = dict[str, Any]


def plain(value: Any) -> Any:
    """Turn dataclasses, tuples and sets into dicts and lists; infinity becomes ``"+Inf"``.

    A dataclass may name the fields it shows in ``JSON``; a field ``cls`` is shown as ``class``.
    """
    if dataclasses.is_dataclass(value):
        names = getattr(value, "JSON", None) or [field.name for field in dataclasses.fields(value)]
        return {"class" if name == "cls" else name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return "+Inf" if value == float("inf") else value
