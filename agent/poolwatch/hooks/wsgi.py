"""WSGI: one request is one flow, from the call of the application until its body is closed or dropped.

``ScopeMiddleware`` serves any application; hooks use ``serve``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from poolwatch.hooks import web

_Environ = dict[str, Any]
_Application = Callable[[_Environ, Any], Iterable[bytes]]


class ScopeMiddleware:
    """Gives every request of ``app`` a flow of its own."""

    def __init__(self, app: _Application) -> None:
        self.app = app

    def __call__(self, environ: _Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        return serve(self.app, environ, start_response)


def serve(app: _Application, environ: _Environ, start_response: Any) -> Iterable[bytes]:
    """Call ``app`` inside the flow of this request, unless one is open already."""
    request = _begin(environ)
    if request is None:
        return app(environ, start_response)
    try:
        body = app(environ, start_response)
    except BaseException:
        request.end()
        raise
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(body, (list, tuple, bytes)) or (isinstance(wrapper, type) and isinstance(body, wrapper)):
        request.end()  # nothing of the application's runs any more; servers look at the type
        return body
    return _Body(request, body)


class _Body:
    """The body of one response; its flow ends with it, also where nobody finishes it."""

    __slots__ = ("_body", "_next", "_request")

    def __init__(self, request: web.Request, body: Iterable[bytes]) -> None:
        self._request: web.Request | None = request
        self._body = body
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._next is None:
            self._next = iter(self._body).__next__
        return self._next()

    def close(self) -> None:
        request, self._request = self._request, None
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            if request is not None:
                request.end()

    def __del__(self) -> None:
        if self._request is not None:
            self._request.end(here=False)


def _begin(environ: _Environ) -> web.Request | None:
    try:
        if web.MARK in environ or web.out:
            return None
        request = environ[web.MARK] = web.Request(_name, environ)
        return request
    except Exception as error:  # whatever a server gives, the application gets
        web.failed(error)
        return None


def _name(environ: _Environ) -> str:
    path = web.guess(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""))
    return f"{web.method(environ.get('REQUEST_METHOD'))} {path}"
