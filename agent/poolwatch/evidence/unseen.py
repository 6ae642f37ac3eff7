"""Whether something that the collector does not know keeps a handle: ``atexit``, a thread's context, C code.

This asks from below who refers to what, which looks at the whole heap each time: for the few suspects only that
nothing explains.
"""

from __future__ import annotations

import gc
import sys
import types
from collections import Counter
from typing import Any

from poolwatch.evidence.objects import is_a
from poolwatch.host.native import sleep

_STEPS = 12
_MOST = 1000
"""Objects looked at; who is kept by more than that is kept by something that is no secret."""
_ENDS = (types.ModuleType, type, types.FrameType, types.TracebackType)
_Whose = dict[int, set[int]]
"""Ids of objects to those of the handles that they keep."""


def kept_out_of_sight(level: list[Any]) -> set[int]:
    """Give the ids of those handles that something unknown keeps, itself or by way of objects that refer to them.

    Whoever calls must have no reference to them but the list: they are counted.
    """
    found: set[int] = set()
    whose: _Whose = {id(value): {id(value)} for value in level}
    seen = set(whose)
    ends = _globals()
    ours = _references([object()])[0]
    for _ in range(_STEPS):
        if not level or len(seen) > _MOST:
            break
        above = [referrer for referrer in gc.get_referrers(*level) if referrer is not level]
        known = Counter(key for referrer in above for key in _refers_to(referrer, whose))
        known.update(key for key in map(id, above) if key in whose)
        counts = zip(map(id, level), _references(level), strict=True)
        found.update(*(whose[key] for key, count in counts if count > ours + known[key]))
        whose = _whose(above, whose, seen | ends)
        seen |= whose.keys()
        level = [referrer for referrer in above if id(referrer) in whose]
        sleep(0)
    return found


def _references(values: list[Any]) -> list[int]:
    """Count the references to each, ours among them."""
    return [sys.getrefcount(value) for value in values]


def _refers_to(referrer: Any, whose: _Whose) -> list[int]:
    return [key for key in map(id, gc.get_referents(referrer)) if key in whose]


def _whose(above: list[Any], whose: _Whose, passed: set[int]) -> _Whose:
    """Give whose keepers those are who were not met before."""
    return {
        id(referrer): set().union(*(whose[key] for key in _refers_to(referrer, whose)))
        for referrer in above
        if id(referrer) not in passed and not is_a(referrer, _ENDS)
    }


def _globals() -> set[int]:
    modules = (module for module in sys.modules.copy().values() if is_a(module, (types.ModuleType,)))
    return {id(object.__getattribute__(module, "__dict__")) for module in modules}
