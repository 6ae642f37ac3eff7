"""The two numbers of all stories together: recall and false alarms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.stories.judge import Outcome

PROPERTY = "story"
"""Name of the property under which a test hands its numbers to the summary."""


@dataclass(frozen=True, slots=True)
class Tally:
    """``found`` of ``expected`` findings, and findings that should not be there."""

    stories: int = 0
    expected: int = 0
    found: int = 0
    false_alarms: int = 0

    def plus(self, expected: int, found: int, false_alarms: int) -> Tally:
        """Give the tally with one more story."""
        return Tally(self.stories + 1, self.expected + expected, self.found + found, self.false_alarms + false_alarms)

    def __str__(self) -> str:
        share = self.found / self.expected if self.expected else 1.0
        return (
            f"{self.stories} stories: recall {self.found}/{self.expected} = {share:.1%}, "
            f"false alarms {self.false_alarms}"
        )


def tally(outcomes: Iterable[Outcome]) -> Tally:
    """Add up the outcomes."""
    total = Tally()
    for outcome in outcomes:
        total = total.plus(len(outcome.story.expected), outcome.found, len(outcome.false_alarms))
    return total
