"""Servers for the stories, a set for each test process, and the two numbers at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.servers import Server
from tests.stories.databases import serving
from tests.stories.tally import PROPERTY, Tally


class _AsNeeded(dict[str, Server]):
    """Servers by dialect, each started when a story first asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        self._stack = stack

    def __missing__(self, dialect: str) -> Server:
        started = self._stack.enter_context(serving([dialect]))
        self.update(started)
        return started[dialect]


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, Server]]:
    """Run the servers that the stories of this test process need."""
    with ExitStack() as stack:
        yield _AsNeeded(stack)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print recall and false alarms over the stories that ran, whichever process ran them."""
    total = Tally()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY and report.when == "call":
                    total = total.plus(*value)
    if total.stories:
        terminalreporter.section("leak stories")
        terminalreporter.write_line(str(total))
