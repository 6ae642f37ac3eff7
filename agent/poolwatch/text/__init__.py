"""Makes text of a report, to be read at three in the morning: the worst first, one screen for each finding.

Everything in a report is somebody else's bytes, so control characters never reach the terminal.
"""

from __future__ import annotations

from poolwatch.text.header import summary
from poolwatch.text.render import colour_on, overview, render
from poolwatch.text.words import clean
from poolwatch.text.writing import FORMATS, form_of, write, wrote

__all__ = ["FORMATS", "clean", "colour_on", "form_of", "overview", "render", "summary", "write", "wrote"]
