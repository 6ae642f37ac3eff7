"""The servers that the benchmark starts for itself."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

DRIVERS = {False: "psycopg", True: "asyncpg"}


@contextmanager
def postgres_urls(wanted: bool) -> Iterator[dict[bool, str]]:
    """Run a server and give its URLs by whether they are async; nothing where it is not wanted or not installed."""
    if not wanted:
        yield {}
        return
    from tests.servers.postgres import postgres

    with postgres() as server:
        yield {is_async: server.url(driver) for is_async, driver in DRIVERS.items() if _installed(driver)}


@contextmanager
def graphql_url(wanted: bool) -> Iterator[str | None]:
    """Run a GraphQL server and give its URL; None where it is not wanted."""
    if not wanted:
        yield None
        return
    from tests.servers.graphql import graphql

    with graphql() as server:
        yield f"graphql+requests://{server.host}:{server.port}/{server.database}"


def _installed(driver: str) -> bool:
    found = importlib.util.find_spec(driver) is not None
    if not found:
        print(f"bench: {driver} is not installed, its rows are left out", file=sys.stderr)
    return found
