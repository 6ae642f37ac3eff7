"""gunicorn: the requests of whatever WSGI application its own workers serve, also one of no known framework."""

from __future__ import annotations

from typing import Any

from gunicorn.workers.base import Worker

from poolwatch.hooks.patch import patch
from poolwatch.hooks.wsgi import ScopeMiddleware
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger

_WSGI_WORKERS = {f"gunicorn.workers.{name}" for name in ("sync", "gthread", "base_async", "ggevent", "geventlet")}
"""Where the workers are made that speak WSGI; others (uvicorn's, gunicorn's own ASGI worker) do not."""


def install(ledger: Ledger, guard: Guard) -> None:
    """Put the middleware around the application once a worker has loaded it."""
    original = Worker.load_wsgi

    def load_wsgi(self: Any) -> None:
        original(self)
        if any(cls.__module__ in _WSGI_WORKERS for cls in type(self).__mro__):
            self.wsgi = ScopeMiddleware(self.wsgi)

    patch(guard, "gunicorn", Worker, "load_wsgi", load_wsgi)
