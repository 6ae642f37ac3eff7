"""Starlette, and FastAPI on it: every application gives its requests a flow, whatever serves it."""

from __future__ import annotations

from types import MethodType
from typing import Any

from starlette.applications import Starlette

from poolwatch.hooks import asgi
from poolwatch.hooks.patch import patch
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger


def install(ledger: Ledger, guard: Guard) -> None:
    """Begin and end the flow of each request in ``Starlette.__call__``; a mounted application's is its mount's."""
    original = Starlette.__call__

    async def __call__(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await asgi.serve(MethodType(original, self), scope, receive, send)

    patch(guard, "starlette", Starlette, "__call__", __call__)
