"""The applications: how each is started, what can be asked of it, and what that must leave in the report."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

APPS = Path(__file__).with_name("apps")


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request: the flow that it causes, and how many leases that takes."""

    flow: str
    leases: int
    method: str
    path: str
    answer: str = "1"


@dataclass(frozen=True, slots=True)
class System:
    """One application on one server; ``done`` counts, where answers come before the work is done, what is done."""

    name: str
    command: tuple[str, ...]
    routes: tuple[Route, ...]
    done: Route | None = None

    def argv(self, port: int) -> list[str]:
        """Give the command line."""
        return [word.format(port=port, apps=APPS) for word in self.command]


_FASTAPI = (
    Route("GET /orders/{id}", 1, "GET", "/orders/{n}"),
    Route("GET /customers/{name}", 1, "GET", "/customers/c{n}"),
    Route("POST /bills/{number}", 2, "POST", "/bills/{n}"),
    Route("GET /export/{number}", 1, "GET", "/export/{n}"),
)
_FLASK = (
    Route("GET /orders/<int:id>", 1, "GET", "/orders/{n}"),
    Route("POST /bills/<int:number>", 2, "POST", "/bills/{n}"),
    Route("GET /export/<int:number>", 1, "GET", "/export/{n}"),
)
_CELERY = (Route("shop.ship", 1, "POST", "/jobs/{n}"),)


def _gunicorn(name: str, *options: str) -> System:
    command = (
        sys.executable,
        "-m",
        "gunicorn",
        "-b",
        "127.0.0.1:{port}",
        "--log-level",
        "error",
        *options,
        "shop_flask:app",
    )
    return System(f"flask-{name}", command, _FLASK)


SYSTEMS: tuple[System, ...] = (
    System(
        "fastapi",
        (sys.executable, "-m", "uvicorn", "--port", "{port}", "--log-level", "error", "shop_fastapi:app"),
        _FASTAPI,
    ),
    _gunicorn("sync", "-k", "sync", "-w", "2"),
    _gunicorn("gthread", "-k", "gthread", "-w", "2", "--threads", "4"),
    _gunicorn("gevent", "-k", "gevent", "-w", "2"),
    System(
        "celery",
        (sys.executable, "{apps}/shop_celery.py", "{port}"),
        _CELERY,
        Route("GET /shipped", 1, "GET", "/shipped", "{n}"),
    ),
)
