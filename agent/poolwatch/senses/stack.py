"""Where: raw frames in, lines out. In a hook only code objects and offsets are kept; text is made when it is read."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from functools import lru_cache
from itertools import islice
from sys import _getframe
from types import CodeType, FrameType
from typing import Any

from poolwatch.libraries import POOL_LIBRARIES
from poolwatch.model import Frame, Site
from poolwatch.senses import greenlets

Raw = tuple[tuple[CodeType, int], ...]
"""A stack as kept: (code, offset of the instruction), innermost first."""

_STDLIB = tuple({os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})
_LIBRARY_PARTS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_DEMO_FOLDER = os.path.join(OUR_FOLDER, "demo", "")
_BRIDGES = {"contextlib.py"}
_hooked_folders: list[str] = []


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


def _is_pool_library(file: str) -> bool:
    if file.startswith((OUR_FOLDER, "<frozen", "<sqlalchemy", "<attrs ")):
        return not file.startswith(_DEMO_FOLDER)
    if file.startswith(tuple(_hooked_folders)):
        return True
    if is_library(file):
        parts = file.replace("\\", "/").split("/")
        return os.path.basename(file) in _BRIDGES or not POOL_LIBRARIES.isdisjoint(parts) or "asyncio" in parts
    return False


@lru_cache(maxsize=10_000)
def is_library(file: str) -> bool:
    """Tell whether a file belongs to the standard library or an installed package, not to the application."""
    if file.startswith(OUR_FOLDER):
        return not file.startswith(_DEMO_FOLDER)
    if file.startswith("<") or any(part in file for part in _LIBRARY_PARTS):
        return file not in {"<string>", "<stdin>"}
    return file.startswith(_STDLIB) or os.path.realpath(file).startswith(_STDLIB)


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


def _function(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))


def of_thread(ident: int, depth: int) -> tuple[Frame, ...]:
    """Give the lines where the thread ``ident`` is now; empty where it has ended."""
    return frames(raw(sys._current_frames().get(ident), depth))


def of_coroutine(coroutine: Any, depth: int) -> tuple[Frame, ...]:
    """Give the lines where a suspended coroutine is now, innermost first."""
    found = [(frame.f_code, frame.f_lasti) for frame in islice(coroutine_frames(coroutine), depth)]
    return frames(tuple(reversed(found)))


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
