"""A real HTTP server that takes alerts, or treats them as badly as a test tells it to."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.servers.base import HOST

PATIENCE = 30.0
"""Seconds after which what should come is believed to be missing."""

Manner = str
"""``take``, ``empty``, ``slow`` (half a second), ``hang``, ``reset``, ``nonsense``, ``drip``, ``flood``, ``silent``, a
status such as ``500``, or a status with a header such as ``429 Retry-After: 1``."""


class Receiver:
    """Listens on ``port``; each request gets the next of ``manners``, and when there is none left it is taken."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.manners: deque[Manner] = deque()
        self.requests: list[tuple[float, str, dict[str, str], Any]] = []
        """Time (monotonic), path, headers and body of every request that came in whole."""
        self.taken: list[Any] = []
        """The bodies that were answered with 200."""
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._over = threading.Event()
        self._socket = socket.create_server((HOST, port))
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}/hook"

    def treat(self, *manners: Manner) -> None:
        """Treat the next requests so."""
        self.manners.extend(manners)

    def states(self) -> list[str]:
        """Give the states of what was taken."""
        return [alert["state"] for alert in self.taken]

    def close(self) -> None:
        self._over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.add(connection)
            with connection:
                self._answer(connection, self._request(connection))

    def _request(self, connection: socket.socket) -> Any:
        with connection.makefile("rb") as stream:
            line, *lines = iter(lambda: stream.readline().decode().strip(), "")
            headers = dict(one.split(": ", 1) for one in lines)
            body = json.loads(stream.read(int(headers["Content-Length"])))
        self.requests.append((time.monotonic(), line.split()[1], headers, body))
        return body

    def _answer(self, connection: socket.socket, body: Any) -> None:
        manner = self.manners.popleft() if self.manners else "take"
        if manner in _BADLY:
            _BADLY[manner](connection, self._over)
            return
        if manner == "slow":
            self._over.wait(0.5)
        status, _, header = ("200" if manner in ("take", "slow", "empty") else manner).partition(" ")
        if status == "200":
            self.taken.append(body)
        more = f"{header}\r\n" if header else ""
        body = "" if manner == "empty" else "ok"
        head = f"HTTP/1.1 {status} Whatever\r\n{more}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())


def _hang(connection: socket.socket, over: threading.Event) -> None:
    over.wait(PATIENCE)


def _reset(connection: socket.socket, over: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _nonsense(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"\x00\xff poolwatch? never heard of it \r\n\r\n")


def _drip(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(1000):
        if over.wait(0.2):
            return
        connection.sendall(b"X: y\r\n")


def _flood(connection: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def _silent(connection: socket.socket, over: threading.Event) -> None:
    """Close without a word."""


_BADLY = {"hang": _hang, "reset": _reset, "nonsense": _nonsense, "drip": _drip, "flood": _flood, "silent": _silent}


@contextmanager
def receiving(port: int = 0, tls: ssl.SSLContext | None = None, manners: Iterable[Manner] = ()) -> Iterator[Receiver]:
    """Give a running Receiver."""
    receiver = Receiver(port, tls)
    receiver.treat(*manners)
    try:
        yield receiver
    finally:
        receiver.close()
