"""Whether somebody is at work with a connection though no hook sees it: fetching rows, or executing with a cursor.

It is asked of few leases. Who fetches rows of SQLite is inside the library for microseconds and has no socket that
would tell: that he goes on is seen by his rows.
"""

from __future__ import annotations

import gc
import os
import weakref
from inspect import CO_NEWLOCALS
from itertools import dropwhile, islice, takewhile
from types import FrameType
from typing import Any

from poolwatch.evidence.names import is_of_pools
from poolwatch.evidence.objects import attributes_of, classes_of, home_of, name_of
from poolwatch.senses import stack
from poolwatch.senses.actors import Actor
from poolwatch.senses.awaited import fast_locals
from poolwatch.senses.whereabouts import frames_of

_READING_FILES = {"socket.py", "ssl.py", "streams.py", "selectors.py"}
"""Of the standard library, between a driver and its socket."""
_FRAMES = 12
_STEPS = 3
"""From a local variable to the connection: a result, its cursor, the connection."""
_OBJECTS = 500
_ROWS = {"Row", "RowMapping"}
_MOST_SEEN = 100
_seen: dict[tuple[int, int], set[int]] = {}
"""The rows that users had at the last look; by key of the user and id of the connection."""


def is_at_work(user: Actor, connection: Any) -> bool:
    """Tell whether ``user`` is inside a library in a call that has to do with ``connection``, or goes on to read it."""
    if user.has_ended():
        return False
    frames = frames_of(user)
    inside = takewhile(_is_between, islice(dropwhile(_is_ours, frames), _FRAMES))
    called = any(_leads_to(fast_locals(frame), id(connection)) for frame in inside)
    return called or (_has_open_cursor(connection) and _has_other_rows((user.key, id(connection)), frames))


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


def _has_open_cursor(connection: Any) -> bool:
    """Tell whether a cursor of SQLite's has a statement that was not read to its end."""
    connection = (attributes_of(connection) or {}).get("_connection", connection)  # as aiosqlite wraps it
    if not any(name_of(kind) == "Connection" and home_of(kind) == "sqlite3" for kind in classes_of(connection)):
        return False
    known = (entry for part in gc.get_referents(connection) if type(part) is list for entry in part.copy())
    return any(_is_open(entry()) for entry in known if type(entry) is weakref.ref)


def _is_open(cursor: Any) -> bool:
    parts = gc.get_referents(cursor) if name_of(type(cursor)) == "Cursor" else []
    return any(name_of(type(part)) == "Statement" for part in parts)


def _has_other_rows(key: tuple[int, int], frames: list[FrameType]) -> bool:
    """Tell whether the application's variables in some frames have rows now that they had not at the last look."""
    mine = (frame for frame in frames if not stack.is_library(frame.f_code.co_filename))
    rows = {_mark(value) for frame in islice(mine, _FRAMES) for value in _variables(frame) if _is_row(value)}
    before = _seen.pop(key, None)
    _seen[key] = rows
    while len(_seen) > _MOST_SEEN:
        del _seen[next(iter(_seen))]
    return before is not None and bool(rows - before)


def _variables(frame: FrameType) -> list[Any]:
    if frame.f_code.co_flags & CO_NEWLOCALS:
        return fast_locals(frame)
    return [dict.get(frame.f_globals, name) for name in frame.f_code.co_names]


def _is_row(value: Any) -> bool:
    if "_sa_instance_state" in (attributes_of(value) or ()):
        return True
    return any(
        name_of(kind) in _ROWS and (is_of_pools(home := home_of(kind)) or home == "sqlite3")
        for kind in classes_of(value)
    )


def _mark(row: Any) -> int:
    """Give a number that tells rows apart, also where the next has the place of the one before."""
    parts = gc.get_referents(row)
    inner = (value for part in parts if type(part) is tuple for value in part[:_FRAMES])
    return hash((id(row), *map(id, parts), *map(id, inner)))
