"""What the application said of its pools: a route's tag, strict mode. Kept by what outlives the pool object itself."""

from __future__ import annotations

import weakref
from typing import Any

from poolwatch.senses.route import Route


class Marks:
    """What one pool was marked with."""

    __slots__ = ("route", "strict")

    def __init__(self) -> None:
        self.route: Route | None = None
        self.strict: bool | None = None
        """Whether its crossings raise; None where the option says it."""


_marks: weakref.WeakKeyDictionary[Any, Marks] = weakref.WeakKeyDictionary()
_is_any_strict = False


def of(*souls: Any) -> Marks | None:
    """Give the marks of a pool by what lives as long as it does; None where it has none."""
    return next((_marks[soul] for soul in souls if soul is not None and soul in _marks), None)


def to_write(soul: Any) -> Marks:
    """Give the marks of a pool to write to."""
    if soul not in _marks:
        _marks[soul] = Marks()
    return _marks[soul]


def set_strict(found: Marks, on: bool) -> None:
    """Mark a pool as strict or not."""
    global _is_any_strict
    found.strict = on
    _is_any_strict = _is_any_strict or on


def is_any_strict() -> bool:
    """Tell whether some pool was ever marked as strict."""
    return _is_any_strict
