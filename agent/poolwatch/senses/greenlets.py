"""greenlet, once the host has imported it: before that none can run, and asking for one would cost every lease."""

from __future__ import annotations

import sys
import weakref
from typing import Any

getcurrent: Any = None
"""Gives the greenlet that runs; None where the host has not imported ``greenlet``."""
kinds: tuple[type, ...] = ()
"""The class of greenlets; empty until then."""


def may_run() -> None:
    """Ask for the greenlet from now on; to be called when the host has imported ``greenlet``."""
    global getcurrent, kinds
    import greenlet

    getcurrent, kinds = greenlet.getcurrent, (greenlet.greenlet,)


class _Ref(weakref.ref[Any]):
    __slots__ = ("was",)

    was: int


_met: dict[int, _Ref] = {}


def meet(greenlet: Any) -> None:
    """Remember a greenlet and those above it, weakly: what is handed to one that is suspended is in good hands."""
    while greenlet is not None and id(greenlet) not in _met:
        ref = _met[id(greenlet)] = _Ref(greenlet, _forget)
        ref.was = id(greenlet)
        greenlet = greenlet.parent


def _forget(ref: _Ref) -> None:
    if _met.get(ref.was) is ref:
        del _met[ref.was]


def living() -> list[Any]:
    """Give the greenlets met that are not dead."""
    return [greenlet for ref in list(_met.values()) if (greenlet := ref()) is not None and not greenlet.dead]


if "greenlet" in sys.modules:
    may_run()
