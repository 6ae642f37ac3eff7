"""Every hook is made to raise: the application does not notice, the counter does, and the hook is taken out."""

from __future__ import annotations

import contextvars
import logging
import re
import sys
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import poolwatch
from poolwatch.hooks import asgi, celery, executors, flask, gevent, opentelemetry, threads, web, wsgi
from poolwatch.hooks.gql import lines, moments
from poolwatch.hooks.sqlalchemy import engines, loans, pools, rollbacks, sessions, statements, waits
from poolwatch.hooks.table import TABLE
from poolwatch.host import speech
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses import flow
from tests import hooked
from tests.hooked import make_engine
from tests.servers import Server
from tests.servers.graphql import graphql


class Surprise(Exception):
    """What a hook is made to raise; nobody but poolwatch may see it."""


def broken(*args: Any, **kwargs: Any) -> Any:
    """Raise whatever the arguments."""
    raise Surprise("broken on purpose")


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Give a watch that looks only when it is told to."""
    watch = poolwatch.install(interval=60)
    yield watch
    watch.uninstall()


@pytest.fixture(scope="module")
def graphql_server() -> Iterator[Server]:
    """Give a running GraphQL server."""
    with graphql() as running:
        yield running


class Broken:
    """Stands for a part of poolwatch of which every use raises."""

    __getattr__ = __getitem__ = __setitem__ = __delitem__ = __contains__ = __call__ = broken


_Breaks = list[tuple[Any, str, str]]
BREAKS: dict[str, tuple[Callable[..., list[Any]], _Breaks]] = {
    "sqlalchemy": (
        hooked.sqlalchemy,
        [
            (pools, "unseen", "sqlalchemy.connect"),
            (pools, "conn_of", "sqlalchemy.close"),
            (pools, "_forget", "sqlalchemy.detach"),
            (loans, "_ledger", "sqlalchemy.checkout"),
            (Ledger, "give_back", "sqlalchemy.checkin"),
            (pools, "_ledger", "sqlalchemy.close_detached"),
            (engines, "_ledger", "sqlalchemy.engine"),
            (statements, "current", "sqlalchemy.execute"),
            (rollbacks, "settle", "sqlalchemy.rollback"),
            (waits, "_arm", "sqlalchemy.wait"),
            (waits, "_is_empty", "sqlalchemy.wait"),
            (waits, "home_of", "sqlalchemy.wait"),
            (Ledger, "blocked", "sqlalchemy.wait"),
            (Ledger, "unblocked", "sqlalchemy.wait"),
        ],
    ),
    "sqlalchemy.orm": (
        hooked.sqlalchemy,
        [(sessions, name, "sqlalchemy.session") for name in ("lease_of", "current", "transactions")],
    ),
    "psycopg_pool": (
        hooked.psycopg_pool,
        [
            *((Ledger, name, "psycopg_pool") for name in ("lend", "give_back", "pool_for")),
            *((Ledger, name, "psycopg_pool.execute") for name in ("enter", "leave")),
        ],
    ),
    "asyncpg": (
        hooked.asyncpg_pool,
        [
            *((Ledger, name, "asyncpg") for name in ("lend", "give_back", "pool_for")),
            *((Ledger, name, "asyncpg.execute") for name in ("enter", "leave")),
        ],
    ),
    "gql.client": (
        hooked.gql_client,
        [
            *((lines, name, "gql") for name in ("line_of", "lend", "end")),
            *((moments, name, "gql") for name in ("current", "own_strand", "operation")),
        ],
    ),
    "starlette.applications": (
        hooked.starlette,
        [(asgi.web, "Request", "web"), (flow, "leave", "web")],
    ),
    "uvicorn.config": (hooked.uvicorn, [(asgi.web, "Request", "web"), (flow, "leave", "web")]),
    "flask.app": (
        hooked.flask,
        [(web, "Request", "web"), (flow, "begin", "web"), (flask, "current_request", "flask")],
    ),
    "gunicorn.workers.base": (hooked.gunicorn, [(wsgi.web, "Request", "web"), (flow, "leave", "web")]),
    "celery.signals": (hooked.celery, [(celery, "Scope", "celery"), (celery, "_running", "celery")]),
    "concurrent.futures.thread": (
        hooked.executors,
        [(executors, "current", "executors"), (executors, "flow", "executors"), (executors, "route", "executors")],
    ),
    "threading": (hooked.threads, [(threads, "flow", "threads"), (threads, "route", "threads")]),
    "gevent.greenlet": (
        hooked.greenlets,
        [(gevent, "greenlets", "gevent"), (gevent, "flow", "gevent"), (gevent, "route", "gevent")],
    ),
    "opentelemetry.trace": (hooked.opentelemetry, [(opentelemetry, "_read", "opentelemetry")]),
}
"""By module that a hook waits for: a program, and (where, what is made to raise, a hook that must be counted)."""


def test_every_hook_is_in_the_table() -> None:
    """A new hook comes with a line here."""
    assert list(BREAKS) == [module for _, module, _ in TABLE]


@pytest.mark.parametrize(
    ("program", "owner", "name", "hook"),
    [
        pytest.param(
            program, owner, name, hook, id=f"{module} {owner.__name__.removeprefix('poolwatch.')}.{name} {hook}"
        )
        for module, (program, breaks) in BREAKS.items()
        for owner, name, hook in breaks
    ],
)
def test_application_does_not_notice(
    program: Callable[..., list[Any]],
    owner: Any,
    name: str,
    hook: str,
    watch: poolwatch.Watch,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With a part of poolwatch broken the program gives the same results; the failure is counted and logged once."""
    # in a context of its own: a flow whose end was broken would go on in this one
    run = partial(contextvars.copy_context().run, program, request.getfixturevalue)
    usual = run()
    assert usual
    assert watch.snapshot().process.hook_errors == {}
    monkeypatch.setattr(owner, name, Broken())
    with caplog.at_level(logging.ERROR, logger="poolwatch"):
        assert run() == usual
        assert run() == usual
        errors = watch.snapshot().process.hook_errors
        assert errors.get(hook, 0) > 0
        watch.findings()
        watch.findings()
        speech.finish(30)
    logged = [record.getMessage() for record in caplog.records if record.getMessage().startswith(f"hook {hook} ")]
    assert len(logged) == 1
    assert re.search(r": Surprise at [\w/]+\.py:\d+ \w+$", logged[0])
    assert run() == usual
    after = watch.snapshot().process.hook_errors
    assert after[hook] == errors[hook], "the hook was not taken out"


def test_broken_checkin_loses_no_slot(watch: poolwatch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkin listener that raises would lose the pool's slot for good; ours does not, however often."""
    engine = make_engine(tmp_path)
    monkeypatch.setattr(Ledger, "give_back", broken)
    for _ in range(10):
        with engine.connect() as connection:
            connection.execute(text("select 1"))
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with engine.connect(), engine.connect():
        assert engine.pool.checkedout() == 2  # type: ignore[attr-defined]
    assert watch.snapshot().process.hook_errors["sqlalchemy.checkin"] == 12
    engine.dispose()


def test_interrupt_in_a_hook_is_the_applications(
    watch: poolwatch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KeyboardInterrupt that lands inside a hook is not swallowed, and the connection is not lost to it."""
    engine = make_engine(tmp_path)

    def interrupted() -> Any:
        raise KeyboardInterrupt

    with engine.connect() as connection:
        monkeypatch.setattr(statements, "current", interrupted)
        with pytest.raises(KeyboardInterrupt):
            connection.execute(text("select 1"))
        monkeypatch.undo()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert watch.snapshot().process.hook_errors == {}
    engine.dispose()


def test_broken_detector_does_not_stop_the_watcher(
    watch: poolwatch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails in a look of the watcher's thread is counted under its name, and it goes on looking."""
    watch.uninstall()
    watch = poolwatch.install(interval=0.01)
    monkeypatch.setattr("poolwatch.watcher.looks.detect", broken)
    deadline = 200
    while watch.snapshot().process.hook_errors.get("watcher", 0) < 3 and deadline:
        deadline -= 1
        watch._watcher._alarm.wait(0.02)
    watch.uninstall()
    assert deadline


class Order:
    """Something of the application's, with a secret in it."""


def test_a_failure_keeps_nothing_of_the_application(
    watch: poolwatch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames that led to a hook that fails, its context's included, are gone when they are over."""
    engine = make_engine(tmp_path)
    kept: list[weakref.ref[Order]] = []

    def application() -> None:
        order = Order()
        kept.append(weakref.ref(order))
        try:
            raise ValueError("first")
        except ValueError:
            engine.connect().close()

    monkeypatch.setattr(Ledger, "lend", broken)
    application()
    assert watch.snapshot().process.hook_errors == {"sqlalchemy.checkout": 1}
    assert kept[0]() is None
    engine.dispose()


def test_the_log_has_the_place_and_no_text_of_others(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """What an error says may have parameters in it, and its ``__str__`` is other people's code."""
    guard = Guard()
    engine = make_engine(tmp_path)
    with pytest.raises(OperationalError) as caught, engine.connect() as connection:
        connection.execute(text("select :p from nowhere"), {"p": "geheim"})
    assert "geheim" in str(caught.value)
    for hook in ("first", "second"):
        guard.failed(hook, caught.value)
        guard.failed(hook, caught.value)
    guard.settle()
    guard.settle()
    logged = sorted(record.getMessage() for record in caplog.records if record.name == "poolwatch")
    assert logged == [
        f"hook {hook} failed and is taken out: OperationalError at nowhere of ours" for hook in ("first", "second")
    ]
    assert guard.errors == {"first": 2, "second": 2}
    engine.dispose()


def test_failures_on_many_threads_are_all_counted() -> None:
    """No number is added to by two threads: each only notes."""
    guard, usual = Guard(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        hooked.at_once(8, lambda: [guard.note("x", Surprise()) for _ in range(2000)])
    finally:
        sys.setswitchinterval(usual)
    assert guard.errors == {"x": 16_000}


def test_a_middleware_without_a_watch_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The middlewares work where nothing is installed, also where they fail."""
    assert poolwatch.installed() is None
    for replacement in (web.Request, Broken()):
        monkeypatch.setattr(web, "Request", replacement)
        assert wsgi.ScopeMiddleware(lambda environ, start_response: [b"3"])({"PATH_INFO": "/"}, None) == [b"3"]
