"""ASGI: one request or websocket is one flow, from the first call to its end, body and background tasks included.

``ScopeMiddleware`` serves any application; hooks use ``serve``. The lifespan is no flow: it outlives them all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from poolwatch.hooks import web

_Scope = Any
_Call = Callable[..., Awaitable[Any]]


class ScopeMiddleware:
    """Gives every request and websocket of ``app`` a flow of its own."""

    def __init__(self, app: _Call) -> None:
        self.app = app

    async def __call__(self, scope: _Scope, receive: _Call, send: _Call) -> None:
        """Serve one connection."""
        await serve(self.app, scope, receive, send)


async def serve(app: _Call, scope: _Scope, receive: _Call, send: _Call) -> None:
    """Call ``app`` inside the flow of this request, unless one is open already."""
    request = _begin(scope)
    if request is None:
        await app(scope, receive, send)
        return
    try:
        await app(scope, receive, send)
    finally:
        request.end()


def _begin(scope: _Scope) -> web.Request | None:
    try:
        if scope["type"] == "lifespan" or web.MARK in scope or web.out:
            return None
        request = scope[web.MARK] = web.Request(_name, scope)
        return request
    except Exception as error:  # whatever a server gives, the application gets
        web.failed(error)
        return None


def _name(scope: _Scope) -> str:
    method = "WEBSOCKET" if scope["type"] == "websocket" else web.method(scope.get("method"))
    return f"{method} {_template(scope)}"


def _template(scope: _Scope) -> str:
    """Give the route's path with its parameters' names: of FastAPI, Starlette, or as it looks."""
    route = scope.get("route")
    included = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(included, "path_format", None) or getattr(route, "path", None)
    if path is not None and not hasattr(route, "routes"):
        return _mounted_at(scope) + str(path)
    if "endpoint" in scope:
        return _with_names(scope["path"], scope)
    return "(no route)" if "app" in scope else web.guess(scope["path"])


def _mounted_at(scope: _Scope) -> str:
    root = str(scope.get("root_path", ""))
    return _with_names(root.removeprefix(scope.get("app_root_path", root)), scope)


def _with_names(path: str, scope: _Scope) -> str:
    names = {str(value): f"{{{name}}}" for name, value in dict(scope.get("path_params") or {}).items()}
    for value, name in names.items():
        if "/" in value:  # a parameter of type path
            path = path.replace(value, name)
    return "/".join(names.get(segment, segment) if segment else "" for segment in path.split("/"))
