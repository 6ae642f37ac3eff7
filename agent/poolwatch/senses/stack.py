"""Where: raw frames in, lines out. In a hook only code objects and offsets are kept; text is made when it is read."""

from __future__ import annotations

import linecache
import os
import sysconfig
from functools import lru_cache
from itertools import islice, pairwise
from sys import _getframe
from types import CodeType, FrameType
from typing import Any

from poolwatch.libraries import POOL_LIBRARIES
from poolwatch.model import Frame, Site
from poolwatch.senses import greenlets
from poolwatch.senses.installed import is_own, package_of

Raw = tuple[tuple[CodeType, int], ...]
"""A stack as kept: (code, offset of the instruction), innermost first."""

OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_DEMO_FOLDER = os.path.join(OUR_FOLDER, "demo", "")
_INSIDE = POOL_LIBRARIES | {"asyncio", "contextlib.py"}
_SCRIPTS = os.path.join(sysconfig.get_path("scripts"), "")
_RUNNERS = {
    "asyncio", "concurrent", "multiprocessing", "selectors.py", "socketserver.py", "threading.py", "trio", "twisted",
}  # fmt: skip
"""Beyond the frames of threads, executors, loops and servers stands who started them, not who wants a connection."""
_NEAR = 10
"""Frames beyond a library's in which whoever called it is looked for; farther out is who started a framework."""
_hooked_folders: list[str] = []
takers: set[str] = set()
"""Installed packages that take connections on nobody's behalf: what is theirs may keep them, as an application's."""


class _Inside(dict[str, bool]):
    """File name to whether its frames lie inside the pool library, the driver or poolwatch; learnt once a file."""

    def __missing__(self, file: str) -> bool:
        inside = self[file] = _is_pool_library(file)
        return inside


inside = _Inside()


def treat_as_inside(folder: str) -> None:
    """Count every file below ``folder`` as pool library, wherever it is installed."""
    _hooked_folders.append(os.path.join(folder, ""))
    inside.clear()
    _is_application.cache_clear()


def is_of_pool_library(file: str) -> bool:
    """Tell whether a file belongs to a pool library or a driver itself."""
    return package_of(file) in POOL_LIBRARIES


def _is_pool_library(file: str) -> bool:
    if file.startswith((OUR_FOLDER, "<frozen", "<sqlalchemy", "<attrs ")):
        return not file.startswith(_DEMO_FOLDER)
    if file.startswith(tuple(_hooked_folders)):
        return True
    return package_of(file) in _INSIDE


@lru_cache(maxsize=10_000)
def is_library(file: str) -> bool:
    """Tell whether a file belongs to the standard library or an installed package, not to the application."""
    if file.startswith(OUR_FOLDER):
        return not file.startswith(_DEMO_FOLDER)
    if file.startswith("<"):
        return file not in {"<string>", "<stdin>"}
    return package_of(file) != "" and not is_own(file)


def outside(depth: int) -> FrameType | None:
    """Give the innermost frame outside pool libraries and drivers, ``depth`` frames up from the caller.

    Under SQLAlchemy's asyncio bridge the stack ends at the greenlet; the application's frames are its parent's.
    """
    try:
        frame: FrameType | None = _getframe(depth + 1)
    except ValueError:
        frame = _getframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if not inside[file] and not generated(frame):
            return frame
        frame = frame.f_back
    return _behind_greenlet()


def on_behalf_of(frame: FrameType) -> FrameType | None:
    """Give the application's frame for which a library's ``frame`` works; None where it works by itself."""
    caller: FrameType | None = frame
    for _ in range(_NEAR):
        if caller is None or _is_runner(caller.f_code.co_filename):
            break
        caller = caller.f_back
        if caller is not None and _is_application(caller.f_code.co_filename) and not generated(caller):
            return caller
    takers.add(package_of(frame.f_code.co_filename))
    return None


def _is_runner(file: str) -> bool:
    return package_of(file) in _RUNNERS


@lru_cache(maxsize=10_000)
def _is_application(file: str) -> bool:
    # a console script only starts what is installed
    return not (inside[file] or is_library(file) or file.startswith(_SCRIPTS))


def generated(frame: FrameType) -> bool:
    """Tell whether code named "<string>" was made by a library (SQLAlchemy 2.0, dataclasses), not ``python -c``'s."""
    names = frame.f_globals
    return frame.f_code.co_filename == "<string>" and (names.get("__name__") != "__main__" or "__file__" in names)


def _behind_greenlet() -> FrameType | None:
    greenlet = greenlets.getcurrent() if greenlets.getcurrent is not None else None
    while greenlet is not None and greenlet.parent is not None:
        greenlet = greenlet.parent
        frame = greenlet.gr_frame
        while frame is not None:
            if not inside[frame.f_code.co_filename]:
                return frame  # type: ignore[no-any-return]
            frame = frame.f_back
    return None


def raw(frame: FrameType | None, depth: int) -> Raw:
    """Keep at most ``depth`` frames from ``frame`` outwards."""
    frames: list[tuple[CodeType, int]] = []
    while frame is not None and len(frames) < depth:
        frames.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(frames)


def line_of(code: CodeType, offset: int) -> int:
    """Give the line of the instruction at ``offset`` (bytes) of ``code``."""
    if hasattr(code, "co_positions"):
        position = next(islice(code.co_positions(), max(offset, 0) // 2, None), None)
        return (position[0] if position else None) or code.co_firstlineno
    import dis

    lines = [line for start, line in dis.findlinestarts(code) if start <= offset]
    return lines[-1] if lines else code.co_firstlineno


def frames(stack: Raw) -> tuple[Frame, ...]:
    """Make lines of a raw stack, innermost first."""
    return tuple(
        Frame(code.co_filename, line_of(code, offset), _function(code), is_library(code.co_filename))
        for code, offset in stack
    )


def site(code: CodeType, offset: int) -> Site:
    """Make the site of one raw frame."""
    return Site(code.co_filename, line_of(code, offset), _function(code))


def site_of(stack: Raw) -> Site | None:
    """Make the site of a raw stack: the innermost line, or that of the application for which a library works there."""
    if stack and is_library(stack[0][0].co_filename):
        for (inner, _), (code, offset) in pairwise(stack[: _NEAR + 1]):
            if _is_runner(inner.co_filename):
                break
            if _is_application(code.co_filename):
                return site(code, offset)
    return site(*stack[0]) if stack else None


def _function(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))


def coroutine_frames(coroutine: Any) -> Any:
    """Give the frames of a coroutine and of what it awaits, outermost first."""
    while coroutine is not None:
        for prefix in ("cr", "gi", "ag"):
            if hasattr(coroutine, prefix + "_frame"):
                frame = getattr(coroutine, prefix + "_frame")
                if frame is not None:
                    yield frame
                coroutine = getattr(coroutine, {"cr": "cr_await", "gi": "gi_yieldfrom", "ag": "ag_await"}[prefix])
                break
        else:
            return


def source_line(file: str, line: int) -> str:
    """Give the text of a source line, stripped; empty where it cannot be read."""
    return linecache.getline(file, line).strip()
