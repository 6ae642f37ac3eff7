"""Compare a report with what its story expects: each expected finding once, and nothing else. Nothing runs here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stories.story import Expected, Story

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one story: ``problems`` are those of the run itself, not of the report."""

    story: Story
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    false_alarms: tuple[str, ...] = ()
    output: str = ""

    @property
    def found(self) -> int:
        """Give the number of expected findings that are there."""
        return len(self.story.expected) - len(self.missed)

    @property
    def ok(self) -> bool:
        """Tell whether the story went exactly as told."""
        return not (self.problems or self.missed or self.false_alarms)


def judge(story: Story, report: Json) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give what is missed and what is a false alarm, both in words."""
    left = list(report["findings"])
    missed = []
    for expected in story.expected:
        matching = _one_a_process([finding for finding in left if matches(story, expected, finding)])
        if not matching:
            missed.append(_say_expected(story, expected))
        left = [finding for finding in left if finding not in matching]
    allowed = {kind for expected in story.expected for kind in expected.also_allowed}
    false_alarms = [_say_finding(finding) for finding in left if finding["kind"] not in allowed]
    return tuple(missed), tuple(false_alarms)


def matches(story: Story, expected: Expected, finding: Json) -> bool:
    """Tell whether a finding is the expected one: kind, site, owner, grade, state and count."""
    return (
        finding["kind"] == expected.kind
        and _at_site(story, expected.site_line, finding["site"])
        and (expected.owner is None or any(re.search(expected.owner, name) for name in _names(finding)))
        and expected.grade in (None, finding["grade"])
        and expected.state in (None, finding["state"])
        and expected.count in (None, finding["count"])
    )


def _at_site(story: Story, marker: str, site: Json | None) -> bool:
    if site is None or Path(site["file"]).name != story.path.name:
        return False
    return site["line"] in story.site_lines(marker)


def _names(finding: Json) -> list[str]:
    kinds = ("thread", "task", "greenlet", "scope")
    return [owner[kind] for owner in finding["owners"] for kind in kinds if owner.get(kind)]


def _one_a_process(findings: list[Json]) -> list[Json]:
    """Keep one finding for each process, pool and line: a second one is a repeat that should have been a count."""
    kept = {(finding.get("pid"), finding["pool"], finding["site"]["line"]): finding for finding in findings}
    return list(kept.values())


def _say_expected(story: Story, expected: Expected) -> str:
    lines = ",".join(str(line) for line in sorted(story.site_lines(expected.site_line)))
    wanted = (expected.grade, expected.state, f"owner~{expected.owner}", f"count={expected.count}")
    return f"{expected.kind} at line {lines} ({', '.join(str(part) for part in wanted)})"


def _say_finding(finding: Json) -> str:
    site = finding["site"] or {"file": "?", "line": "?"}
    where = f"{Path(site['file']).name}:{site['line']}"
    facts = f"{finding['grade']}, {finding['state']}, owners {_names(finding)}, count={finding['count']}"
    return f"{finding['kind']} at {where} ({facts}): {finding['summary']}"
