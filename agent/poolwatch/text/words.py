"""Small words: durations, numbers, paths and lines."""

from __future__ import annotations

import os
import textwrap
import time
from dataclasses import dataclass

WIDTH = 100
"""Columns of the report."""
_LABEL = 12
"""Columns of the label at the left of a fact."""
ROOM = WIDTH - _LABEL
"""Columns of what is said."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text and the style it is painted in where colours are on."""

    text: str
    style: str = ""


def clean(text: object) -> str:
    """Give ``text`` on one line, without anything that could steer a terminal."""
    flat = " ".join(str(text).split())
    return "".join(character if character.isprintable() else "?" for character in flat)


def fact(label: str, text: str, style: str = "", most: int = 3, width: int = WIDTH) -> list[Line]:
    """Give a labelled fact, wrapped to at most ``most`` lines of ``width`` columns."""
    parts = _wrapped(clean(text), max(width - _LABEL, 1), most) or [""]
    return [Line((label if index == 0 else "").ljust(_LABEL) + part, style) for index, part in enumerate(parts)]


def _wrapped(text: str, room: int, most: int) -> list[str]:
    """Break lines between words; the last one that is shown goes on into a long word, rather than be half empty."""
    lines = textwrap.wrap(text, room, break_on_hyphens=False)
    if len(lines) <= most:
        return lines
    *whole, last = textwrap.wrap(text, room, break_on_hyphens=False, max_lines=most, placeholder=" ...")
    return [*whole, last if len(last) > 0.8 * room else cut(" ".join(lines[most - 1 :]), room)]


def cut(text: str, width: int = WIDTH) -> str:
    """Shorten ``text`` to ``width`` columns."""
    return text if len(text) <= width else text[: width - 3] + "..."


def cut_left(text: str, width: int) -> str:
    """Shorten ``text`` to ``width`` columns and keep its end, which tells paths apart."""
    return text if len(text) <= width else "..." + text[len(text) - width + 3 :]


def duration(seconds: float) -> str:
    """Say a duration in units people use."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days {hours % 24} h"


def clock(moment: float) -> str:
    """Give a Unix time as local date and time."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"


def several(count: int, thing: str, many: str = "") -> str:
    """Say a count: ``1 pool``, ``2 pools``, ``2 processes`` where ``many`` is given."""
    return f"{count:,} {thing if count == 1 else many or thing + 's'}"


def path(file: str) -> str:
    """Give a path relative to the current folder where it lies below it."""
    try:
        here = os.path.join(os.getcwd(), "")
    except OSError:  # the folder is gone
        here = ""
    return clean(file.removeprefix(here))
