"""uvicorn: the requests of whatever ASGI application it serves, also one of no known framework."""

from __future__ import annotations

from typing import Any

from uvicorn.config import Config

from poolwatch.hooks.asgi import ScopeMiddleware
from poolwatch.hooks.patch import patch
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger


def install(ledger: Ledger, guard: Guard) -> None:
    """Put the middleware around the application once uvicorn has loaded it."""
    original = Config.load

    def load(self: Any) -> None:
        original(self)
        self.loaded_app = ScopeMiddleware(self.loaded_app)

    patch(guard, "uvicorn", Config, "load", load)
