"""All stories, in one tuple."""

from __future__ import annotations

from tests.stories.correct import CORRECT
from tests.stories.crossings import CROSSINGS
from tests.stories.leaks import LEAKS
from tests.stories.story import Story
from tests.stories.waits import WAITS

STORIES: tuple[Story, ...] = (*LEAKS, *CROSSINGS, *WAITS, *CORRECT)
