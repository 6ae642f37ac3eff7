"""Which hook waits for which import. A library that is never imported costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from poolwatch.guard import Guard
from poolwatch.hooks import imports
from poolwatch.ledger import Ledger

TABLE: tuple[tuple[str, str, str], ...] = (
    ("sqlalchemy", "sqlalchemy", "poolwatch.hooks.sqlalchemy:install"),
    ("sqlalchemy", "sqlalchemy.orm", "poolwatch.hooks.sqlalchemy.sessions:install"),
    ("psycopg_pool", "psycopg_pool", "poolwatch.hooks.psycopg_pool:install"),
    ("asyncpg", "asyncpg", "poolwatch.hooks.asyncpg:install"),
    ("gql", "gql.client", "poolwatch.hooks.gql:install"),
    ("starlette", "starlette.applications", "poolwatch.hooks.starlette:install"),
    ("uvicorn", "uvicorn.config", "poolwatch.hooks.uvicorn:install"),
    ("flask", "flask.app", "poolwatch.hooks.flask:install"),
    ("gunicorn", "gunicorn.workers.base", "poolwatch.hooks.gunicorn:install"),
    ("celery", "celery.signals", "poolwatch.hooks.celery:install"),
    ("executors", "concurrent.futures.thread", "poolwatch.hooks.executors:install"),
    ("threads", "threading", "poolwatch.hooks.threads:install"),
    ("gevent", "gevent.greenlet", "poolwatch.hooks.gevent:install"),
    ("opentelemetry", "opentelemetry.trace", "poolwatch.hooks.opentelemetry:install"),
)
"""(name in the ``hooks`` option, module to wait for, installer)."""


def install(names: tuple[str, ...], ledger: Ledger, guard: Guard) -> dict[str, str]:
    """Hook what is imported and wait for the rest; gives the state of each hook, which changes as imports happen."""
    states: dict[str, str] = {}
    for name, module, installer in TABLE:
        if "all" not in names and name not in names:
            states[module] = "off"
            continue
        states[module] = "not imported"
        imports.when_imported(module, _runner(module, installer, ledger, guard, states))
    guard.add("imports", imports.forget)
    return states


def _runner(module: str, installer: str, ledger: Ledger, guard: Guard, states: dict[str, str]) -> Callable[[], None]:
    def run() -> None:
        try:
            where, _, function = installer.partition(":")
            getattr(importlib.import_module(where), function)(ledger, guard)
            states[module] = "hooked"
        except Exception as error:
            states[module] = f"failed: {type(error).__name__}: {error}"
            guard.failed(module, error)

    return run
