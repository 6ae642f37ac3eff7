"""Whether somebody is inside a library with a connection now: fetching rows, or executing with a cursor of its own.

No hook sees it. It is asked of few leases, and only of those whose user is inside a library at that moment.
"""

from __future__ import annotations

import gc
import os
from itertools import dropwhile, islice, takewhile
from types import FrameType
from typing import Any

from poolwatch.evidence.roots import fast_locals
from poolwatch.senses import stack
from poolwatch.senses.actor import Actor
from poolwatch.senses.whereabouts import frames_of

_READING_FILES = {"socket.py", "ssl.py", "streams.py", "selectors.py"}
"""Of the standard library, between a driver and its socket."""
_FRAMES = 12
_STEPS = 3
"""From a local variable to the connection: a result, its cursor, the connection."""
_OBJECTS = 500


def is_at_work(user: Actor, connection: Any) -> bool:
    """Tell whether ``user`` is inside a pool library or driver, in a call that has to do with ``connection``."""
    if user.has_ended():
        return False
    inside = takewhile(_is_between, islice(dropwhile(_is_ours, frames_of(user)), _FRAMES))
    return any(_leads_to(fast_locals(frame), id(connection)) for frame in inside)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(stack.OUR_FOLDER)


def _is_between(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return os.path.basename(file) in _READING_FILES or stack.is_of_pool_library(file)


def _leads_to(found: list[Any], wanted: int) -> bool:
    for _ in range(_STEPS + 1):
        if any(id(one) == wanted for one in found):
            return True
        found = gc.get_referents(*found[:_OBJECTS])[:_OBJECTS]
    return False
