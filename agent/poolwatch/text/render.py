"""The whole report as text, plain or in colours."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TextIO

from poolwatch.model import Json
from poolwatch.text.finding import block, headlines
from poolwatch.text.header import footer, header
from poolwatch.text.order import worst_first
from poolwatch.text.words import WIDTH, Line, cut

_CODES = {"": "", "bold": "1", "dim": "2", "proved": "1;31", "probable": "1;33", "suspected": "1;36", "fix": "32"}


def render(report: Json, *, colour: bool = False) -> str:
    """Give the whole report as text of at most 100 columns, with a newline at its end."""
    blocks = [header(report), *(block(finding, report) for finding in worst_first(report["findings"])), footer(report)]
    return "\n".join("\n".join(_painted(line, colour) for line in lines) + "\n" for lines in blocks if lines)


def overview(report: Json, *, colour: bool = False, width: int = WIDTH) -> str:
    """Give the head of the report and two lines for each finding, none of more than ``width`` columns."""
    lines = [*header(report, min(width, WIDTH)), *headlines(report)]
    return "\n".join(_painted(replace(line, text=cut(line.text, width)), colour) for line in lines) + "\n"


def _painted(line: Line, colour: bool) -> str:
    code = _CODES[line.style] if colour else ""
    return f"\x1b[{code}m{line.text}\x1b[0m" if code else line.text


def colour_on(stream: TextIO) -> bool:
    """Tell whether ``stream`` is a terminal that shows colours and nobody has set NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
