"""The shape of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from poolwatch.detectors.hints import HINTS
from poolwatch.model import Grade

_ANY_OWNER = "thread, task or greenlet"


@dataclass(frozen=True, slots=True)
class Example:
    """Two programs that begin with ``PREAMBLE``: the first leads to the finding, the second to none.

    Both are run with the ``flags`` of ``poolwatch run``.
    """

    leaking: str
    mended: str
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding. Texts are prose with code between backticks; an empty line begins a paragraph."""

    name: str
    grades: Mapping[Grade, str]
    """Each grade that it can have, and when; nothing where that goes without saying."""
    short: str
    """What happened, in half a sentence."""
    meaning: str
    causes: tuple[str, ...]
    resolved: str = "when it has not been seen for `resolve_after`"
    example: Example | None = None
    options: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    """Alerts of deploy/prometheus/rules that it leads to; each has a runbook."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """Where docs/ says more: a title, and the page with its heading."""

    @property
    def grade(self) -> str:
        """Say which grade it has, and when."""
        return "; ".join(f"{grade} {when}".strip() for grade, when in self.grades.items())

    @property
    def cures(self) -> tuple[tuple[str, str], ...]:
        """Give the hints of its findings, each with the case that it is for; the general one, for ``""``, first."""
        return tuple((case, text.format(owner=_ANY_OWNER)) for case, text in HINTS[self.name].items())


@dataclass(frozen=True, slots=True)
class Family:
    """Kinds that belong together, and what is to be said of all of them."""

    title: str
    kinds: tuple[Kind, ...]
    about: str = ""
    pages: Mapping[str, str] = field(default_factory=dict)
