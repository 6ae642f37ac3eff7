"""A story as a value: a program that knows nothing of the monitor, and what must be found in it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True, slots=True)
class Expected:
    """One finding that must be there; None leaves open what the design leaves open.

    ``owner`` is a regular expression on the name of a thread, task or greenlet. ``site_line`` is the text that marks
    the line in the program. ``also_allowed`` are kinds that are right as well, beside this one.
    """

    kind: str
    owner: str | None = None
    grade: str | None = None
    state: str | None = None
    count: int | None = None
    also_allowed: tuple[str, ...] = ()
    site_line: str = "# <- site"


@dataclass(frozen=True, slots=True)
class Story:
    """One run of one program against one database; a clean one expects nothing."""

    name: str
    program: str
    database: str
    options: tuple[str, ...] = ()
    expected: tuple[Expected, ...] = ()
    twin: str | None = None
    min_python: tuple[int, int] = (3, 10)
    exit: int = 0

    @property
    def path(self) -> Path:
        """Give the program's file."""
        return PROGRAMS / f"{self.program}.py"

    @property
    def runs_here(self) -> bool:
        """Tell whether this interpreter is new enough."""
        return sys.version_info[:2] >= self.min_python

    def site_lines(self, marker: str) -> frozenset[int]:
        """Give the numbers of the lines that the marker's text stands on."""
        lines = self.path.read_text().splitlines()
        return frozenset(number for number, line in enumerate(lines, 1) if marker in line)


def told(
    program: str,
    databases: str,
    *expected: Expected,
    options: str = "",
    twin: str | None = None,
    min_python: tuple[int, int] = (3, 10),
    exit: int = 0,
) -> tuple[Story, ...]:
    """Tell one program's story on each of the databases (names with spaces between)."""
    return tuple(
        Story(f"{program}[{database}]", program, database, tuple(options.split()), expected, twin, min_python, exit)
        for database in databases.split()
    )


def clean(programs: str, databases: str, options: str = "") -> tuple[Story, ...]:
    """Tell of correct programs (names without ``_clean``, spaces between), each on each of the databases."""
    names = [f"{program}_clean" for program in programs.split()]
    return tuple(story for name in names for story in told(name, databases, options=options))
