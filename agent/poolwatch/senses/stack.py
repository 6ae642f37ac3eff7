"""Where: raw frames in, lines out. In a hook only code objects and offsets are kept; text is made when it is read."""

from __future__ import annotations

import linecache
from itertools import islice, pairwise
from sys import _getframe
from types import CodeType, FrameType

from poolwatch.model import Frame, Site
from poolwatch.senses.behind import NEAR, Raw, behind, has_left_task, note_who_awaits, own_frames, root_of_task
from poolwatch.senses.files import (
    OUR_FOLDER,
    generated,
    inside,
    is_application,
    is_library,
    is_of_pool_library,
    is_runner,
    takers,
    treat_as_inside,
)
from poolwatch.senses.installed import package_of

__all__ = [
    "OUR_FOLDER", "Raw", "frames", "generated", "has_left_task", "inside", "is_library", "is_of_pool_library",
    "line_of", "on_behalf_of", "outside", "raw", "site", "site_of", "source_line", "takers", "treat_as_inside",
]  # fmt: skip


def outside(depth: int) -> FrameType | None:
    """Give the innermost frame outside pool libraries and drivers, ``depth`` frames up from the caller.

    Under SQLAlchemy's asyncio bridge the stack ends at the greenlet; the application's frames are its parent's. None
    where there is none in this task or thread: what is farther out only runs it.
    """
    try:
        frame: FrameType | None = _getframe(depth + 1)
    except ValueError:
        frame = _getframe()
    root = root_of_task()
    for here in own_frames(frame):
        file = here.f_code.co_filename
        if not inside[file] and not generated(here):
            return None if is_runner(file) or has_left_task(here) else here
        if here is root:
            break
    return None


def on_behalf_of(frame: FrameType | None) -> tuple[FrameType | None, tuple[CodeType, int] | None]:
    """Give where the stack of a lease begins and the application's line for which a library's ``frame`` takes it.

    The frame is None where nothing of the application's is in this task or thread; the line is then that of whoever
    awaits it or has started it.
    """
    if frame is None or is_runner(frame.f_code.co_filename):
        note_who_awaits()
        return None, next(iter(behind(1)), None)
    caller: FrameType | None = frame
    for _ in range(NEAR):
        caller = caller.f_back if caller is not None else None
        if caller is None or is_runner(caller.f_code.co_filename):
            break
        if is_application(caller.f_code.co_filename) and not generated(caller) and not has_left_task(caller):
            return frame, (caller.f_code, caller.f_lasti)
    takers.add(package_of(frame.f_code.co_filename))
    return frame, (frame.f_code, frame.f_lasti)


def raw(frame: FrameType | None, depth: int) -> Raw:
    """Keep at most ``depth`` frames from ``frame`` outwards; of whoever stands behind this task or thread if None."""
    if frame is None:
        return behind(depth)
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
        for (inner, _), (code, offset) in pairwise(stack[: NEAR + 1]):
            if is_runner(inner.co_filename):
                break
            if is_application(code.co_filename):
                return site(code, offset)
    return site(*stack[0]) if stack else None


def _function(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))


def source_line(file: str, line: int) -> str:
    """Give the text of a source line, stripped; empty where it cannot be read."""
    return linecache.getline(file, line).strip()
