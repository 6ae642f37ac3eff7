"""Flows: how a scope goes along, what ends with it, and what it costs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import _WorkItem
from pathlib import Path

import gevent
import jsonschema
import pytest
from celery.signals import task_postrun, task_prerun
from flask import Flask
from gunicorn.workers.base import Worker
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import QueuePool
from starlette.applications import Starlette
from uvicorn.config import Config

import poolwatch
from poolwatch.hooks import asgi, wsgi
from poolwatch.report.schema import report_schema
from poolwatch.senses import flow
from poolwatch.text.render import render
from tests.launcher import until

GRACE = 0.2
BUDGET = 10e-6
"""Seconds that the flow of one request may cost."""


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Watch this process, quick to believe."""
    watch = poolwatch.install(grace=GRACE)
    yield watch
    watch.uninstall()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine with a real pool."""
    options = {"check_same_thread": False}
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", poolclass=QueuePool, connect_args=options)
    yield engine
    engine.dispose()


def here() -> str | None:
    """Give the name of the flow that this runs in."""
    scope = flow.current_scope()
    return scope.name if scope else None


def kinds(watch: poolwatch.Watch) -> list[str]:
    """Look now; give the kinds of what is open."""
    return [finding.kind for finding in watch.findings() if finding.state == "open"]


def in_thread(work: Callable[[], object]) -> None:
    """Run to the end in a thread."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_goes_along(watch: poolwatch.Watch) -> None:
    """Threads, work items, tasks, worker threads of a loop and greenlets are of the flow that started them."""
    seen: list[str | None] = []

    async def tasks() -> None:
        seen.append(await asyncio.create_task(_here_async()))
        seen.append(await asyncio.to_thread(here))
        seen.append(await asyncio.get_running_loop().run_in_executor(None, here))

    with ThreadPoolExecutor(1) as executor:
        executor.submit(here).result()  # the worker thread is there before the scope
        with poolwatch.scope("job", number=7):
            in_thread(lambda: seen.append(here()))
            seen.append(executor.submit(here).result())
            asyncio.run(tasks())
            seen.append(gevent.spawn(here).get())
        assert executor.submit(here).result() is None
    assert seen == ["job"] * 6
    assert here() is None


async def _here_async() -> str | None:
    return here()


def test_nested_and_decorated() -> None:
    """The inner scope names what runs in it; a decorator makes one for each call, sync or async."""

    @poolwatch.scope("load")
    def load() -> str | None:
        return here()

    @poolwatch.scope("send")
    async def send() -> str | None:
        return here()

    with poolwatch.scope("job") as job:
        assert load() == "load"
        assert asyncio.run(send()) == "send"
        assert here() == "job"
    assert job.ended > 0


def test_attributes_hold_nothing() -> None:
    """Attributes are kept as short text: no object of the application stays alive through them."""
    with poolwatch.scope("job", engine=object(), note="x" * 1000, number=3) as job:
        assert job.attributes == {"engine": "object", "note": "x" * 100, "number": 3}


def test_attributes_are_shown(watch: poolwatch.Watch, engine: Engine) -> None:
    """A report says of the owner what the application said of the scope, in the JSON and in the text; bounded."""
    with poolwatch.scope("import one day", day="monday", number=3, note="x" * 1000, more="y" * 1000, most="z" * 1000):
        KEPT.append(engine.connect())
    until(lambda: kinds(watch))
    report = watch.report()
    (owner,) = report["findings"][0]["owners"]
    assert owner["scope_attributes"].startswith(f"day=monday, number=3, note={'x' * 100}, more=yyy")
    assert len(owner["scope_attributes"]) == 300
    assert "scope import one day (day=monday, number=3" in " ".join(render(report).split())
    jsonschema.Draft202012Validator(report_schema()).validate(report)
    KEPT.pop().close()


def test_chains_do_not_grow() -> None:
    """A job that starts its successor for ever leaves no chain of ended jobs behind."""
    above = None
    for number in range(100):
        above, before = flow.Scope(str(number), None, above), above
        if before is not None:
            before.ended = 1.0
    length, scope = 0, above
    while scope is not None:
        length, scope = length + 1, scope.parent
    assert length <= 3


def test_leak_is_found_and_resolved(watch: poolwatch.Watch, engine: Engine) -> None:
    """What a flow took and kept is its leak; once it comes back, the finding is resolved."""
    box: list[Connection] = []
    began = time.monotonic()
    with poolwatch.scope("nightly"):
        in_thread(lambda: box.append(engine.connect()))
    time.sleep(2 * GRACE)
    assert kinds(watch) == []  # the box is a local of this living frame: somebody has it in hand
    KEPT.append(box.pop())
    until(lambda: kinds(watch))  # a witness is asked again after a second
    (finding,) = watch.findings()
    assert (finding.kind, finding.grade) == ("leak.scope_ended", "proved")
    assert finding.owners[0].scope == "nightly"
    assert finding.summary.startswith("nightly ended")
    KEPT.pop().close()
    (finding,) = watch.findings()
    held = time.monotonic() - began
    assert (finding.state, finding.resolution) in [("resolved", f"returned after {held - off:.0f} s") for off in (0, 1)]


KEPT: list[Connection] = []


def test_inner_scope_hands_to_outer(watch: poolwatch.Watch, engine: Engine) -> None:
    """What an inner scope took belongs to the outer one, which goes on."""
    with poolwatch.scope("request"):
        with poolwatch.scope("load"):
            KEPT.append(engine.connect())
        time.sleep(2 * GRACE)
        assert kinds(watch) == []
        KEPT.pop().close()


def test_used_by_its_successor(watch: poolwatch.Watch, engine: Engine) -> None:
    """One connection used by two flows on two threads is a crossing; two threads of one flow are not."""

    def use(name: str) -> None:
        with poolwatch.scope(name):
            for _ in range(2):
                in_thread(lambda: KEPT[0].execute(text("insert into orders values (1)")))

    KEPT.append(engine.connect())
    KEPT[0].execute(text("create table orders (id integer)"))
    use("first")
    assert kinds(watch) == []
    use("second")
    assert kinds(watch) == ["crossing.flow"]
    assert [owner.scope for owner in watch.findings()[0].owners] == ["first", "second"]
    KEPT.pop().close()


def test_numbers(watch: poolwatch.Watch, engine: Engine) -> None:
    """Each name has the leases of its ended flows, the most at once, and the time waited, held and busy."""
    for _ in range(3):
        with poolwatch.scope("report"):
            with engine.connect() as connection:
                connection.execute(text("select 1"))
            with engine.connect(), engine.connect():
                time.sleep(0.02)
    with engine.connect():
        pass
    (totals,) = watch.report()["scopes"]
    assert [totals[name] for name in ("name", "flows_total", "leases_total", "most_at_once")] == ["report", 3, 9, 2]
    assert totals["use_seconds_total"] >= 0.12
    assert 0 < totals["busy_seconds_total"] < totals["use_seconds_total"]
    assert totals["wait_seconds_total"] == 0


def test_a_flow_is_counted_once(watch: poolwatch.Watch, engine: Engine) -> None:
    """A lease that comes back after its flow was counted adds to it, and is no second flow."""
    with poolwatch.scope("report"):
        kept = engine.connect()
        engine.connect().close()
    for totals in ({"flows_total": 1, "leases_total": 1}, {"flows_total": 1, "leases_total": 2}):
        (told,) = watch.report()["scopes"]
        assert {name: told[name] for name in totals} == totals
        kept.close()


def test_waits_are_counted(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """The time a flow waits for a pool is its own, not that of who holds."""
    options = {"check_same_thread": False}
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    small = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0, connect_args=options)
    held = small.connect()
    timer = threading.Timer(0.2, held.close)
    timer.start()
    with poolwatch.scope("waits"), small.connect():
        pass
    timer.join()
    (totals,) = watch.report()["scopes"]
    assert totals["name"] == "waits"
    assert totals["wait_seconds_total"] >= 0.1
    small.dispose()


def test_trace_id_names_what_nobody_named(watch: poolwatch.Watch, engine: Engine) -> None:
    """A lease taken inside a span carries its trace id; outside there is none."""
    tracer = TracerProvider().get_tracer("shop")
    with tracer.start_as_current_span("order") as span, engine.connect():
        (lease,) = watch.snapshot().leases
        assert lease.owner.trace_id == trace.format_trace_id(span.get_span_context().trace_id)
    with engine.connect():
        assert watch.snapshot().leases[0].owner.trace_id is None


def test_uninstall_leaves_nothing() -> None:
    """Frameworks, servers, threads and executors are as they were."""
    parts = (Starlette, Flask, Config, Worker, threading.Thread, _WorkItem)
    signals = (task_prerun, task_postrun)
    before = [dict(vars(part)) for part in parts], [len(signal.receivers) for signal in signals]
    watch = poolwatch.install()
    assert all(dict(vars(part)) != was for part, was in zip(parts, before[0], strict=True))
    states = watch.report()["processes"][0]["hooks"]
    watch.uninstall()
    assert ([dict(vars(part)) for part in parts], [len(signal.receivers) for signal in signals]) == before
    assert flow.current_trace is None
    assert {state for state in states.values() if state not in {"hooked", "not imported"}} == set()


def test_wsgi_body_nobody_finishes() -> None:
    """A body that is dropped unread ends its flow; the server's own types of body are left as they are."""
    scopes: list[flow.Scope | None] = []

    def app(environ: dict[str, object], start_response: object) -> Iterator[bytes]:
        scopes.append(flow.current_scope())
        yield b"1"
        yield b"2"

    body = iter(wsgi.ScopeMiddleware(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/orders/7"}, None))
    assert next(body) == b"1"
    assert scopes[0] is not None
    assert (scopes[0].name, scopes[0].ended) == ("GET /orders/{}", 0.0)
    del body
    assert scopes[0].ended > 0
    assert wsgi.ScopeMiddleware(lambda environ, start_response: [b"3"])({}, None) == [b"3"]


def test_cost_of_a_request() -> None:
    """The flow of a request costs at most 10 µs, on ASGI and on WSGI."""

    async def asgi_app(scope: object, receive: object, send: object) -> None:
        return None

    def wsgi_app(environ: object, start_response: object) -> Iterator[bytes]:
        return iter((b"",))

    asgi_ours, wsgi_ours = asgi.ScopeMiddleware(asgi_app), wsgi.ScopeMiddleware(wsgi_app)

    def one_asgi(app: Callable[..., object]) -> None:
        call = app({"type": "http", "method": "GET", "path": "/orders"}, None, None)
        with pytest.raises(StopIteration):
            call.send(None)  # type: ignore[attr-defined]

    def many_asgi(app: Callable[..., object]) -> None:
        for _ in range(200):
            call = app({"type": "http", "method": "GET", "path": "/orders"}, None, None)
            try:
                call.send(None)  # type: ignore[attr-defined]
            except StopIteration:
                pass

    def many_wsgi(app: Callable[..., object]) -> None:
        for _ in range(200):
            body = app({"REQUEST_METHOD": "GET", "PATH_INFO": "/orders"}, None)
            list(body)  # type: ignore[call-overload]
            getattr(body, "close", int)()

    one_asgi(asgi_ours)
    for many, ours, bare in ((many_asgi, asgi_ours, asgi_app), (many_wsgi, wsgi_ours, wsgi_app)):
        added = (_best(lambda many=many, ours=ours: many(ours)) - _best(lambda many=many, bare=bare: many(bare))) / 200
        assert added <= BUDGET


def _best(run: Callable[[], None]) -> float:
    times = []
    for _ in range(15):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)
