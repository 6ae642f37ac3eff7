"""The progress bar, on standard error."""

from __future__ import annotations

import sys

WIDTH = 30


class Progress:
    """Draws how much of ``total`` steps is done; where nobody looks (no terminal), one line for each label."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._label = ""

    def label(self, text: str) -> None:
        """Name what runs now."""
        self._label = text
        if not sys.stderr.isatty():
            print(f"[{self._done * 100 // self._total:3d} %] {text}", file=sys.stderr, flush=True)
        self._draw()

    def tick(self) -> None:
        """Count one step."""
        self._done += 1
        self._draw()

    def close(self) -> None:
        """End the line."""
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def _draw(self) -> None:
        if sys.stderr.isatty():
            filled = WIDTH * self._done // self._total
            bar = "#" * filled + "." * (WIDTH - filled)
            print(
                f"\r\033[K[{bar}] {self._done}/{self._total} {self._label}"[:140], end="", file=sys.stderr, flush=True
            )
