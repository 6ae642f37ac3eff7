"""Every story, under the monitor: what is expected is found at its place, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers import Server
from tests.stories.catalogue import STORIES
from tests.stories.runner import run
from tests.stories.story import PROGRAMS, Story
from tests.stories.tally import PROPERTY

_BY_PROGRAM = {story.program: story for story in STORIES}


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_story(story: Story, servers: dict[str, Server], record_property: Callable[[str, object], None]) -> None:
    """The program ends as it would alone, and its report says what the story tells."""
    if not story.runs_here:
        pytest.skip(f"needs Python {story.min_python[0]}.{story.min_python[1]}")
    outcome = run(story, servers)
    record_property(PROPERTY, [len(story.expected), outcome.found, len(outcome.false_alarms)])
    assert outcome.ok, "\n".join((*outcome.problems, *outcome.missed, *outcome.false_alarms, outcome.output))


def test_each_program_is_told() -> None:
    """No program lies about without a story, and no story without its program."""
    assert set(_BY_PROGRAM) == {path.stem for path in PROGRAMS.glob("*.py")}


def test_programs_are_plain() -> None:
    """A program is short, and never names the monitor, but for those about what it offers to fibers."""
    texts = {name: story.path.read_text() for name, story in _BY_PROGRAM.items() if not name.startswith("fiber_")}
    assert [name for name, text in texts.items() if "poolwatch" in text or len(text.splitlines()) > 60] == []


def test_sites_are_marked() -> None:
    """Each line at which something is expected is marked in its program."""
    unmarked = [s.name for s in STORIES for expected in s.expected if not s.site_lines(expected.site_line)]
    assert unmarked == []


def test_twins_are_clean() -> None:
    """A story's twin is told too, and expects nothing; so does whatever is called clean."""
    assert [s.name for s in STORIES if s.twin and _BY_PROGRAM[s.twin].expected] == []
    assert [s.name for s in STORIES if s.program.endswith("_clean") == bool(s.expected)] == []
