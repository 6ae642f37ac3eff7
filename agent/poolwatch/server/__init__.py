"""The small HTTP server: metrics, the report and a page to look at. Loopback only, unless there is a token.

Import it when something is to be served: it brings ``http.server`` along.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from poolwatch.errors import ConfigError
from poolwatch.model import Json
from poolwatch.server.endpoints import Endpoints
from poolwatch.server.http import Access, respond
from poolwatch.server.listener import Listener

if TYPE_CHECKING:
    from ssl import SSLContext

ALLOWED = "a free port on localhost, 127.0.0.1 or [::1], as in 127.0.0.1:9187"


class Server:
    """A running server; ``port`` is the one it got where port 0 was asked for."""

    def __init__(self, host: str, listener: Listener, scheme: str = "http") -> None:
        self._listener = listener
        self.port = listener.port
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def pause(self) -> None:
        """End the thread that accepts, as before a fork (Python warns of forks with threads); the port stays taken."""
        self._listener.stop()

    def resume(self) -> None:
        """Accept again, those who have come meanwhile too."""
        self._listener.start()

    def close(self) -> None:
        """Stop serving and wait for the thread to end; in a forked child, leave the parent's server alone."""
        self._listener.close()


def serve(
    address: str,
    read_report: Callable[[], Json],
    read_metrics: Callable[[], Json] | None = None,
    *,
    token: str | None = None,
    tls: SSLContext | None = None,
) -> Server:
    """Serve ``/``, ``/metrics``, ``/report.json`` and ``/healthz`` at ``address`` (HOST:PORT) from a thread of its own.

    ``read_metrics`` may give a report without leases, which is cheaper to make. With a ``token``, only requests that
    carry it are answered, but for ``/`` and ``/healthz``, which tell nothing, and the host may be any; without,
    ConfigError is raised for a host beyond loopback. It is also raised for a port that cannot be had.
    """
    host, port = _place(address, token is not None)
    endpoints = Endpoints(read_report, read_metrics or read_report)
    # Who lets other machines in has no names to check against.
    access = Access(None if token else frozenset({"localhost", "127.0.0.1", "::1", host}), token)
    try:
        listener = Listener(host, port, lambda head: respond(head, endpoints.table, access), tls)
    except OSError as error:
        raise ConfigError("serve", address, f"{ALLOWED} ({error.strerror})") from error
    return Server(host, listener, "https" if tls else "http")


def _place(address: str, anywhere: bool) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]").lower()
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        if not (ip.is_loopback or anywhere) or not 0 <= int(port) <= 65535:
            raise ValueError(address)
    except ValueError as error:
        raise ConfigError("serve", address, ALLOWED) from error
    return str(ip), int(port)
