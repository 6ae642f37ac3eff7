"""One HTTP request to a sink, with a limit for everything: time, bytes, trust. Redirects are not followed.

Sockets are the system's own, also where gevent has replaced those of the standard library; ``http.client`` and ``ssl``
are imported at the first request, because a host that is monkey-patched later wants to be the first who imports them.
"""

from __future__ import annotations

import _socket
import io
import re
from base64 import b64encode
from time import monotonic, time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from poolwatch.alert.sink import Failure

if TYPE_CHECKING:
    from ssl import SSLContext

TIMEOUT = 10.0
"""Seconds for a whole exchange: connection, request and the head of the answer."""
_MOST_BYTES = 256 * 1024
_CHUNK = 16 * 1024
_LONGEST_WAIT = 3600.0
"""Seconds that a Retry-After is honoured at most."""
_REFUSED = {400, 405, 413, 414, 415, 422, 431}
"""Statuses that speak of the message: sending it again would not help. Others speak of the sink, which may be cured."""


class Post:
    """Sends bodies to one URL; ``abort`` may be called from another thread. ``repr`` shows the host only."""

    def __init__(self, url: str, headers: dict[str, str], ca: str | None = None) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.place = parts.netloc.rpartition("@")[2]
        self._headers = {**_login(parts.username, parts.password), **headers, "Host": self.place}
        self._ca = ca
        self._context: SSLContext | None = None
        self._socket: _socket.socket | None = None

    def __repr__(self) -> str:
        return f"<Post {self.place}>"

    def send(self, body: bytes, **headers: str) -> None:
        """Send; raises Failure where the answer does not begin with 2."""
        failure = None
        try:
            status, retry_after = self._exchange(body, {name.replace("_", "-"): text for name, text in headers.items()})
        except Exception as error:
            failure = Failure(reason(error))
        finally:
            sock, self._socket = self._socket, None
            if sock is not None:
                sock.close()
        if failure is not None:  # outside of "except": the error may name what must not be shown
            raise failure
        if not 200 <= status < 300:
            raise Failure(_words(status), retry_after=retry_after, refused=status in _REFUSED)

    def abort(self) -> None:
        """Let a request that is under way fail now."""
        sock = self._socket
        if sock is not None:
            try:
                sock.shutdown(_socket.SHUT_RDWR)
            except OSError:
                pass  # it was not connected, or is over

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, float | None]:
        from http.client import HTTPConnection

        deadline = monotonic() + TIMEOUT
        stream = _Stream(self._connect(deadline), deadline)
        connection = HTTPConnection(self._host, self._port)
        # What it needs of a socket, http.client finds in a stream.
        connection.sock = _Encrypted(stream, self._trust(), self._host) if self._tls else stream
        connection.request("POST", self._path, body, {**self._headers, **headers, "Connection": "close"})
        answer = connection.getresponse()
        answer.close()  # its body is nobody's business
        return answer.status, _seconds(answer.getheader("Retry-After"))

    def _connect(self, deadline: float) -> _socket.socket:
        """Connect to the first address that answers; raises OSError."""
        error = OSError("the host has no address")
        for family, kind, protocol, _, address in _socket.getaddrinfo(self._host, self._port, 0, _socket.SOCK_STREAM):
            self._socket = sock = _socket.socket(family, kind, protocol)
            try:
                sock.settimeout(max(deadline - monotonic(), 0.001))
                sock.connect(address)
                return sock
            except OSError as failed:
                error = failed
                sock.close()
        raise error

    def _trust(self) -> SSLContext:
        if self._context is None:
            import ssl

            self._context = ssl.create_default_context(cafile=self._ca)
        return self._context


def _login(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


class _Stream:
    """What ``http.client`` needs of a socket, over one that ends at a deadline and after so many bytes."""

    def __init__(self, sock: _socket.socket, deadline: float) -> None:
        self._socket = sock
        self._deadline = deadline
        self._left = _MOST_BYTES

    def _hurry(self) -> None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def recv(self, size: int) -> bytes:
        """Give at most ``size`` bytes that came; none at the end."""
        self._hurry()
        data = self._socket.recv(min(size, _CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise OSError("more than an answer")
        return data

    def sendall(self, data: bytes) -> None:
        """Send all, before the deadline."""
        self._hurry()
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Give what an answer is read from."""
        return io.BufferedReader(_Bytes(self))

    def close(self) -> None:
        """Do nothing: who has opened the socket closes it."""


class _Bytes(io.RawIOBase):
    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Encrypted(_Stream):
    """TLS over a stream, without ``ssl.SSLSocket``, which gevent replaces."""

    def __init__(self, stream: _Stream, context: SSLContext, host: str) -> None:
        import ssl

        self._stream = stream
        self._again, self._over = ssl.SSLWantReadError, ssl.SSLZeroReturnError
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._until_done(self._tls.do_handshake)

    def _until_done(self, call: Any, *arguments: object) -> Any:
        while True:
            try:
                result = call(*arguments)
            except self._again:
                self._flush()
                data = self._stream.recv(_CHUNK)
                self._incoming.write(data) if data else self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._stream.sendall(data)

    def recv(self, size: int) -> bytes:
        """Give at most ``size`` bytes of what was encrypted."""
        try:
            data: bytes = self._until_done(self._tls.read, size)
        except self._over:
            return b""
        return data

    def sendall(self, data: bytes) -> None:
        """Encrypt and send all."""
        self._until_done(self._tls.write, data)


def _seconds(given: str | None) -> float | None:
    """Read a Retry-After, seconds or a date; None where there is none, or nonsense."""
    if given is None:
        return None
    if re.fullmatch(r"\d{1,9}", given.strip()):
        return min(float(given), _LONGEST_WAIT)
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(given).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

    return min(max(moment - time(), 0.0), _LONGEST_WAIT)


def _words(status: int) -> str:
    from http import HTTPStatus

    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    return f"answered {phrase}" + (", and redirects are not followed" if 300 <= status < 400 else "")


def reason(error: BaseException) -> str:
    """Say what went wrong without the error's own text, which may quote a URL, a header or an answer."""
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    if type(error).__name__ == "SSLCertVerificationError":
        return f"its certificate is not trusted: {error.verify_message}"  # type: ignore[attr-defined]
    if isinstance(error, OSError) and isinstance(error.strerror, str) and type(error).__module__ != "ssl":
        return error.strerror
    if isinstance(error, ConnectionError):
        return "the connection was closed without an answer"
    if type(error).__module__ == "http.client":
        return f"the answer is no HTTP ({type(error).__name__})"
    return type(error).__name__
