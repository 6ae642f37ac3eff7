"""Sockets and threads of the server, real ones also where gevent has replaced those of the standard library.

``_socket.socket`` lies below what gevent patches. One thread waits for connections, each connection has one more.
"""

from __future__ import annotations

import _socket
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from poolwatch.host.native import Alarm, original, sleep, start_new_thread, with_collector_paused

if TYPE_CHECKING:  # a host that is monkey-patched later wants to be the first who imports it
    from ssl import SSLContext

MAX_CONNECTIONS = 8
"""Connections served at a time; what comes beyond is closed at once."""
MAX_HEAD = 16 * 1024
TIMEOUT = 5.0
"""Seconds for a request to arrive, and again for its answer to be taken."""
_PAUSE = 0.5
"""Seconds to wait where the system has no file descriptors or no threads left."""


class Listener:
    """Accepts on ``host:port`` and gives each request's head to ``respond``, while started and until closed."""

    def __init__(self, host: str, port: int, respond: Callable[[bytes], bytes], tls: SSLContext | None = None) -> None:
        self._respond = respond
        self._tls = tls
        self._pid = os.getpid()
        self._open: set[_socket.socket] = set()
        self._running = False
        self._ended = Alarm()
        self._socket = _bind(host, port)
        self._wakes, self._wake = os.pipe()
        self.port: int = self._socket.getsockname()[1]
        self.start()

    def start(self) -> None:
        """Begin to accept; starting twice is starting once."""
        if not self._running and self._wake >= 0:
            self._running = True
            self._ended = Alarm()
            start_new_thread(self._accept, ())

    def stop(self) -> None:
        """End the thread that accepts and wait for it, a second at most; the port stays taken."""
        if self._running and self._pid == os.getpid():
            self._running = False
            os.write(self._wake, b"!")
            self._ended.wait(1.0)

    def close(self) -> None:
        """Stop, end what is being served and free the port; in a forked child, leave the parent's server alone."""
        self.stop()
        if self._wake < 0:
            return
        for connection in list(self._open):
            with suppress(OSError):
                # A shutdown in a child would reach the parent's client.
                connection.close() if self._pid != os.getpid() else connection.shutdown(_socket.SHUT_RDWR)
        self._socket.close()
        os.close(self._wakes)
        os.close(self._wake)
        self._wake = -1

    def _accept(self) -> None:
        poll = original("select", "poll")()
        poll.register(self._socket.fileno(), select.POLLIN)
        poll.register(self._wakes, select.POLLIN)
        ended = self._ended
        while self._running:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._wakes in ready:
                os.read(self._wakes, 1)
            elif ready:
                self._accept_one()
        ended.ring()

    def _accept_one(self) -> None:
        try:
            self._take(_socket.socket(fileno=self._socket._accept()[0]))  # type: ignore[attr-defined]
        except BlockingIOError:
            pass
        except (OSError, RuntimeError):  # no file descriptors or no threads left: not the moment to spin
            sleep(_PAUSE)

    def _take(self, connection: _socket.socket) -> None:
        if len(self._open) >= MAX_CONNECTIONS:
            connection.close()
            return
        self._open.add(connection)
        try:
            start_new_thread(self._serve, (connection,))
        except RuntimeError:
            self._open.discard(connection)
            connection.close()
            raise

    def _serve(self, connection: _socket.socket) -> None:
        try:
            with suppress(OSError), self._secured(connection) as channel:
                head = _read_head(channel)
                channel.settimeout(TIMEOUT)
                channel.sendall(with_collector_paused(partial(self._respond, head)))
                # Not left to close(): a child that was forked meanwhile may hold the connection open.
                connection.shutdown(_socket.SHUT_WR)
        finally:
            self._open.discard(connection)
            connection.close()

    @contextmanager
    def _secured(self, connection: _socket.socket) -> Iterator[_socket.socket]:
        """Give what to speak over, encrypted where there is a certificate; raises OSError."""
        if self._tls is None:
            yield connection
            return
        import socket

        plain = socket.socket(fileno=os.dup(connection.fileno()))
        plain.settimeout(TIMEOUT)
        with self._tls.wrap_socket(plain, server_side=True) as channel:
            yield channel


def _bind(host: str, port: int) -> _socket.socket:
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    listening = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        listening.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(MAX_CONNECTIONS)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _read_head(connection: _socket.socket) -> bytes:
    """Read up to the empty line; raises OSError where it does not come in time or is too far away."""
    deadline = monotonic() + TIMEOUT
    data = b""
    while b"\r\n\r\n" not in data and b"\n\n" not in data:
        connection.settimeout(max(deadline - monotonic(), 0.001))
        chunk = connection.recv(4096)
        data += chunk
        if not chunk or len(data) > MAX_HEAD or monotonic() > deadline:
            raise OSError("no complete request")
    return data
