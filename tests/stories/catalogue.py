"""All stories, in one tuple."""

from __future__ import annotations

import os

from tests.stories.correct import CORRECT
from tests.stories.crossings import CROSSINGS
from tests.stories.fibers import FIBERS
from tests.stories.frameworks import FRAMEWORKS
from tests.stories.leaks import LEAKS
from tests.stories.libraries import LIBRARIES
from tests.stories.story import Story
from tests.stories.waits import WAITS

ALL: tuple[Story, ...] = (*LEAKS, *CROSSINGS, *WAITS, *CORRECT, *LIBRARIES, *FRAMEWORKS, *FIBERS)


def _one_a_program(stories: tuple[Story, ...]) -> tuple[Story, ...]:
    """Give each program's story on one database, another from program to program."""
    by_program: dict[str, list[Story]] = {}
    for story in stories:
        by_program.setdefault(story.program, []).append(story)
    return tuple(told[number % len(told)] for number, told in enumerate(by_program.values()))


STORIES = ALL if os.environ.get("POOLWATCH_ALL_STORIES") else _one_a_program(ALL)
"""What the tests run: each program once; every program on each of its databases where the variable is set."""
