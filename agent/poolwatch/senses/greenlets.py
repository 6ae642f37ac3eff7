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


_met: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def meet(greenlet: Any) -> None:
    """Remember a greenlet and those above it, weakly: what is handed to one that is suspended is in good hands."""
    while greenlet is not None and id(greenlet) not in _met:
        _met[id(greenlet)] = greenlet
        greenlet = greenlet.parent


def living() -> list[Any]:
    """Give the greenlets met that are not dead."""
    return [greenlet for ref in _met.valuerefs() if (greenlet := ref()) is not None and not greenlet.dead]


if "greenlet" in sys.modules:
    may_run()
