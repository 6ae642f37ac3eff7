"""The small HTTP server of a watched process: metrics, the report and a page to look at. Loopback only.

Import it when something is to be served: it brings ``http.server`` and ``prometheus_client`` along.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from poolwatch.errors import ConfigError
from poolwatch.model import Json
from poolwatch.server.endpoints import Endpoints
from poolwatch.server.http import respond
from poolwatch.server.listener import Listener

ALLOWED = "a free port on localhost, 127.0.0.1 or [::1], as in 127.0.0.1:9187"


class Server:
    """A running server; ``port`` is the one it got where port 0 was asked for."""

    def __init__(self, host: str, listener: Listener) -> None:
        self._listener = listener
        self.port = listener.port
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

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
    allow_remote: bool = False,
) -> Server:
    """Serve ``/``, ``/metrics``, ``/report.json`` and ``/healthz`` at ``address`` (HOST:PORT) from a thread of its own.

    ``read_metrics`` may give a report without leases, which is cheaper to make. Raises ConfigError for a host
    beyond loopback, unless ``allow_remote``, and for a port that cannot be had.
    """
    host, port = _place(address, allow_remote)
    endpoints = Endpoints(read_report, read_metrics or read_report)
    # Who lets other machines in has no names to check against.
    hosts = None if allow_remote else frozenset({"localhost", "127.0.0.1", "::1", host})
    try:
        listener = Listener(host, port, lambda head: respond(head, endpoints.table, hosts))
    except OSError as error:
        raise ConfigError("serve", address, f"{ALLOWED} ({error.strerror})") from error
    return Server(host, listener)


def _place(address: str, allow_remote: bool) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]").lower()
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        if not (ip.is_loopback or allow_remote) or not 0 <= int(port) <= 65535:
            raise ValueError(address)
    except ValueError as error:
        raise ConfigError("serve", address, ALLOWED) from error
    return str(ip), int(port)
