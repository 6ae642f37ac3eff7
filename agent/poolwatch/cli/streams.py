"""Standard streams that somebody has closed, or that lead where nothing can be written."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def open_all() -> None:
    """Put nothing's device in the place of a standard stream that is closed, so that what is said goes nowhere else.

    Children do not inherit it: they have the streams that they would have without us.
    """
    sys.stdout = sys.stdout or _nothing()
    sys.stderr = sys.stderr or _nothing()


def _nothing() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def give_up(stream: TextIO) -> None:
    """Forget what ``stream`` could not write: the interpreter would try once more at its end, and complain."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        pass
