"""greenlet, once the host has imported it: before that none can run, and asking for one would cost every lease."""

from __future__ import annotations

import sys
import weakref
from types import FrameType
from typing import Any

_NEAR = 12
getcurrent: Any = None
"""Gives the greenlet that runs; None where the host has not imported ``greenlet``."""
kinds: tuple[type, ...] = ()
"""The class of greenlets; empty until then."""


def may_run() -> None:
    """Ask for the greenlet from now on; to be called when the host has imported ``greenlet``."""
    global getcurrent, kinds
    import greenlet

    getcurrent, kinds = greenlet.getcurrent, (greenlet.greenlet,)


def frame_behind(steps: int) -> FrameType | None:
    """Give the frame ``steps`` frames out from where the parent of this greenlet waits for it."""
    parent = getcurrent().parent if getcurrent is not None else None
    frame: FrameType | None = parent.gr_frame if parent is not None else None
    while steps and frame is not None:
        frame = frame.f_back
        steps -= 1
    return frame


def steps_behind(frame: FrameType) -> int | None:
    """Give how far out ``frame`` stands, as ``frame_behind`` counts; None where it is not near behind this greenlet."""
    return next((steps for steps in range(_NEAR) if frame_behind(steps) is frame), None)


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
