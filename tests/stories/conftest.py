"""Servers for the stories, a set for each test process, and the two numbers at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Server
from tests.servers.graphql import graphql as running_graphql
from tests.stories.tally import PROPERTY, Tally

_FIXTURES = {"postgresql": "postgres", "mysql": "mariadb", "mssql": "mssql", "graphql": "graphql"}
"""The server of a dialect; but for the last they are those of all tests."""


class _AsNeeded(dict[str, Server]):
    """Servers by dialect, each started when a test first asks for it."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__()
        self._request = request

    def __missing__(self, dialect: str) -> Server:
        server: Server = self._request.getfixturevalue(_FIXTURES[dialect])
        self[dialect] = server
        return server


@pytest.fixture(scope="session")
def graphql() -> Iterator[Server]:
    """Give a running GraphQL server."""
    with running_graphql() as server:
        yield server


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> dict[str, Server]:
    """Give the servers that the stories of this test process need."""
    return _AsNeeded(request)


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
