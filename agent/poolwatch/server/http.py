"""HTTP: a request's head in, a response out. Knows no sockets and no files, so there is no path to climb out of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Response:
    """What an endpoint gives."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Table = Mapping[str, Callable[[str], Response]]
"""Path to what answers there, given the Accept header."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: requests to one of ``hosts`` (None: any) that carry ``token`` (None: none is needed)."""

    hosts: frozenset[str] | None = None
    token: str | None = field(default=None, repr=False)
    free: frozenset[str] = frozenset({"/", "/healthz"})
    """Paths that tell nothing and need no token: the page is empty until its reader has given it one."""

    def knows(self, host: str) -> bool:
        """Tell whether a Host header names one of ``hosts``."""
        try:
            return self.hosts is None or urlsplit(f"//{host}").hostname in self.hosts
        except ValueError:
            return False

    def admits(self, path: str, authorization: str) -> bool:
        """Tell whether an Authorization header opens ``path``; compares in a time that tells nothing of the token."""
        if self.token is None or path in self.free:
            return True
        scheme, _, given = authorization.partition(" ")
        known = compare_digest(given.strip().encode("utf-8", "replace"), self.token.encode())
        return known and scheme.lower() == "bearer"


def respond(head: bytes, table: Table, access: Access) -> bytes:
    """Give the whole response to a request: by its path from ``table``, where ``access`` allows it."""
    return _Exchange(head, table, access).wfile.getvalue()


_NO_TOKEN = Response(b"401 a token is needed\n", status=401, headers={"WWW-Authenticate": "Bearer"})


class _Exchange(BaseHTTPRequestHandler):
    """One request and its response, in memory."""

    wfile: BytesIO
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def __init__(self, head: bytes, table: Table, access: Access) -> None:
        # Not the base's: that one wants a socket.
        self.rfile = BytesIO(head)
        self.wfile = BytesIO()
        self._table = table
        self._access = access
        self.handle()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not all(map(self._access.knows, self.headers.get_all("Host", []))):
            # A page of another site that has its name resolved to 127.0.0.1 would read the report.
            self.send_error(403, "this host name is not served")
            return
        if not self._access.admits(path, self.headers.get("Authorization", "")):
            self._send(_NO_TOKEN)
            return
        endpoint = self._table.get(path)
        if endpoint is None:
            self.send_error(404)
        else:
            self._send(endpoint(self.headers.get("Accept", "")))

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self.send_error(405, "only GET and HEAD")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def end_headers(self) -> None:
        """End every response, errors too, with what keeps browsers from guessing and storing."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def version_string(self) -> str:
        """Name no versions."""
        return "poolwatch"

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: the host's standard error is the host's."""
