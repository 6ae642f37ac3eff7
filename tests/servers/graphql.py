"""A GraphQL server: strawberry on uvicorn, over HTTP and websockets; about a second to the first answer."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.base import HOST, Server, answers, folder, running, tied


@dataclass(frozen=True)
class GraphQLServer(Server):
    """A server that is reached by URL."""

    def url(self, driver: str) -> str:
        """Give its URL with the client's transport before it, such as ``requests+http://`` or ``websockets+ws://``."""
        scheme = "ws" if driver == "websockets" else "http"
        return f"{driver}+{scheme}://{self.host}:{self.port}/{self.database}"


@contextmanager
def graphql() -> Iterator[Server]:
    """Run the server; graphqlapp.py says what can be asked."""
    with folder() as place, running(_server, answers, place, signal.SIGKILL, tied) as (port, pid):
        url = f"http://{HOST}:{port}/graphql"
        yield GraphQLServer("graphql", port, "", "graphql", pid, url, {"GRAPHQL_URL": url})


def _server(port: int) -> list[str]:
    # -I: nothing that is put into Python programs by way of the environment gets into the server.
    return [sys.executable, "-I", str(Path(__file__).with_name("graphqlapp.py")), str(port)]
