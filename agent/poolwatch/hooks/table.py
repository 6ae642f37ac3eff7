"""Which hook waits for which import. A library that is never imported costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from poolwatch.hooks import imports, web
from poolwatch.host.guard import Guard
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
_WAITING = "not imported"


def install(names: tuple[str, ...], ledger: Ledger, guard: Guard) -> dict[str, str]:
    """Hook what is imported and wait for the rest; gives the state of each name, which changes later."""
    chosen = [row for row in TABLE if "all" in names or row[0] in names]
    states = {name: "off" for name, *_ in TABLE} | {name: _WAITING for name, *_ in chosen}
    for name, module, installer in chosen:
        imports.when_imported(module, _runner(name, module, installer, ledger, guard, states))
    guard.add("imports", imports.forget)
    web.install(guard)
    return states


def _runner(
    name: str, module: str, installer: str, ledger: Ledger, guard: Guard, states: dict[str, str]
) -> Callable[[], None]:
    def run() -> None:
        try:
            where, _, function = installer.partition(":")
            getattr(importlib.import_module(where), function)(ledger, guard)
            if states[name] == _WAITING:
                states[name] = "hooked"  # not so where another of its modules has failed
        except Exception as error:
            states[name] = f"failed: {type(error).__name__}: {error}"
            guard.failed(module, error)

    return run
