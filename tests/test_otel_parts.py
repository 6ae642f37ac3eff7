"""The parts that telemetry is made of: representative values, exemplars, the current span, log records, its ends."""

from __future__ import annotations

import http.client
import logging
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context, trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
from sqlalchemy import Engine, create_engine

import poolwatch
from poolwatch.export.exposition import wants_openmetrics
from poolwatch.export.numbers import Buckets
from poolwatch.export.otel.metrics import Recorded
from poolwatch.export.otel.representatives import representatives
from poolwatch.hooks import opentelemetry as hook
from poolwatch.host import speech
from poolwatch.ledger.leases import NOTHING_MORE
from poolwatch.ledger.records import BOUNDS
from poolwatch.senses import flow
from tests.launcher import environment, script

ALL_BOUNDS = (*BOUNDS, float("inf"))
TIMES = st.lists(st.floats(0, 1000), max_size=50)


def counted(values: list[float]) -> list[int]:
    """Give how many values lie in each bucket."""
    counts = [0] * len(ALL_BOUNDS)
    for value in values:
        counts[bisect_left(ALL_BOUNDS, value)] += 1
    return counts


@given(TIMES)
def test_representatives_have_the_buckets_and_the_sum(values: list[float]) -> None:
    """Whatever was measured: what stands for it lies in the same buckets and adds up to the same."""
    found = [value for value, often in representatives(ALL_BOUNDS, counted(values), sum(values)) for _ in range(often)]
    assert counted(found) == counted(values)
    assert sum(found) == pytest.approx(sum(values), rel=1e-9, abs=1e-9)


@given(st.lists(TIMES, max_size=5))
def test_what_was_recorded_keeps_up(looks: list[list[float]]) -> None:
    """From look to look the histogram is told of what is new, and never drifts from the sum."""
    recorded, values = Recorded(len(ALL_BOUNDS)), []
    told: list[float] = []
    for fresh in looks:
        values += fresh
        below, cumulative = 0, []
        for bound, count in zip(ALL_BOUNDS, counted(values), strict=True):
            below += count
            cumulative.append((bound, below))
        missing = recorded.missing(Buckets(cumulative, sum(values), []))
        told += [value for value, often in missing for _ in range(often)]
        assert counted(told) == counted(values)
        assert sum(told) == pytest.approx(sum(values), rel=1e-9, abs=1e-9)


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Watch this process, and serve."""
    watch = poolwatch.install(interval=0.05, serve="127.0.0.1:0")
    yield watch
    watch.uninstall()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give a pool that lends one connection at a time."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


def test_exemplars_name_the_trace(watch: poolwatch.Watch, engine: Engine) -> None:
    """Where OpenMetrics is asked for, the time of a lease comes with the sampled trace that it was taken in."""
    with (
        TracerProvider(sampler=ALWAYS_OFF).get_tracer("shop").start_as_current_span("unsampled"),
        poolwatch.scope("shop"),
    ):
        engine.connect().close()
    assert _exemplars(watch, "application/openmetrics-text;version=1.0.0") == []
    with TracerProvider(sampler=ALWAYS_ON).get_tracer("shop").start_as_current_span("order") as span:
        engine.connect().close()
    ids = {
        "trace_id": trace.format_trace_id(span.get_span_context().trace_id),
        "span_id": trace.format_span_id(span.get_span_context().span_id),
    }
    assert _exemplars(watch, "application/openmetrics-text;version=1.0.0") == [
        ("db_client_connection_use_time_seconds_bucket", ids)
    ]


def _exemplars(watch: poolwatch.Watch, accept: str) -> list[tuple[str, dict[str, str]]]:
    connection = http.client.HTTPConnection("127.0.0.1", watch._server.port, timeout=30)
    connection.request("GET", "/metrics", headers={"Accept": accept})
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    text = response.read().decode()
    connection.close()
    samples = [sample for family in parse(text) for sample in family.samples if sample.exemplar]
    return [(sample.name, dict(sample.exemplar.labels)) for sample in samples]


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", True),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.9", False),
        ("application/openmetrics-text;q=none", False),
    ],
)
def test_the_format_is_the_one_that_is_liked_best(accept: str, openmetrics: bool) -> None:
    """OpenMetrics is given to whoever likes it no less than the older format."""
    assert wants_openmetrics(accept) == openmetrics


def test_the_quick_way_finds_what_the_public_one_does(watch: poolwatch.Watch, engine: Engine) -> None:
    """A lease carries the context of the span, sampled or not; only of a sampled one the watcher is told."""
    for sampler in (ALWAYS_ON, ALWAYS_OFF):
        tracer = TracerProvider(sampler=sampler).get_tracer("shop")
        with tracer.start_as_current_span("order") as span, engine.connect():
            (lease,) = watch.leases_out()
            assert flow.note_trace is hook.note_trace
            assert lease.trace is hook.current_trace() is span.get_span_context()
            assert (lease.more is NOTHING_MORE) == (sampler is ALWAYS_OFF)
            quick, lease.more = lease.more, NOTHING_MORE
            hook._note_trace(lease)
            assert (lease.trace, lease.more) == (span.get_span_context(), quick)
    for nothing in (trace.INVALID_SPAN, None):
        token = context.attach(trace.set_span_in_context(nothing) if nothing else context.Context())
        with engine.connect():
            assert watch.leases_out()[0].trace is hook.current_trace() is None
        context.detach(token)


def test_a_log_record_says_where_it_came_from(
    watch: poolwatch.Watch, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A finding's log record has the trace as attributes, and is handled inside the span that the lease was of."""
    current = []
    caplog.handler.addFilter(lambda _: current.append(trace.get_current_span().get_span_context().span_id) or True)
    with TracerProvider().get_tracer("shop").start_as_current_span("order") as span:
        engine.connect()
    (finding,) = watch.findings()
    speech.finish(30)
    ids = span.get_span_context()
    (record,) = [record for record in caplog.records if record.name == "poolwatch.findings"]
    assert (record.levelno, record.poolwatch_kind) == (logging.ERROR, finding.kind) == (logging.ERROR, "leak.collected")
    assert (record.trace_id, record.span_id) == (f"{ids.trace_id:032x}", f"{ids.span_id:016x}")
    assert current[-1] == ids.span_id


class Stuck(SpanProcessor):
    """A span processor that hangs until it is freed."""

    def __init__(self) -> None:
        self.reached, self.free, self.gave_up = threading.Event(), threading.Event(), False

    def on_start(self, span: object, parent_context: object = None) -> None:
        """Hang."""
        self.reached.set()
        self.gave_up = not self.free.wait(30)


class Broken(SpanProcessor):
    """A span processor that raises."""

    def on_end(self, span: object) -> None:
        """Raise."""
        raise RuntimeError("broken")


def provided(monkeypatch: pytest.MonkeyPatch, processor: SpanProcessor) -> TracerProvider:
    """Set a global provider for as long as a test runs."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return provider


def test_a_processor_that_hangs_holds_up_nobody(
    watch: poolwatch.Watch, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the program's span processor hangs in our span, leases go on and findings open."""
    stuck = Stuck()
    provided(monkeypatch, stuck)
    with TracerProvider().get_tracer("shop").start_as_current_span("order"):
        engine.connect().close()
        assert stuck.reached.wait(30)
        engine.connect()
    assert [finding.kind for finding in watch.findings()] == ["leak.collected"]
    assert not stuck.gave_up
    stuck.free.set()


def test_a_processor_that_raises_is_told_no_more(
    watch: poolwatch.Watch, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program's span processor raises is counted, and ends spans, not the watch."""
    provided(monkeypatch, Broken())
    deadline = time.monotonic() + 30
    with TracerProvider().get_tracer("shop").start_as_current_span("order"):
        engine.connect().close()
    while not watch.report()["processes"][0]["hook_errors"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    watch.findings()
    assert watch.report()["processes"][0]["hook_errors"] == {"opentelemetry.spans": 1}


LAST = """
import threading, time
import poolwatch
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from sqlalchemy import create_engine
poolwatch.install(interval=1)
tracers = TracerProvider()
tracers.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")))
trace.set_tracer_provider(tracers)
engine = create_engine("sqlite:///shop.db")
time.sleep(1.5)
with trace.get_tracer("shop").start_as_current_span("order"), engine.connect():
    pass
"""


def test_the_last_lease_of_a_program_is_told(tmp_path: Path) -> None:
    """At exit poolwatch comes before the program's provider is shut down, and after that is silent."""
    program = script(tmp_path, LAST)
    done = subprocess.run(
        [sys.executable, "-W", "always", program], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (done.stdout.split("\n"), done.stderr) == (["order", "lease sqlite/shop.db", ""], "")


def test_no_thread_without_opentelemetry(tmp_path: Path) -> None:
    """Where the program has nothing to tell, the courier's thread is never started: no finalizer can run in it."""
    program = """
import gc, time, poolwatch
from poolwatch.export.otel import telemetry
class Loud(telemetry.Courier):
    def stand_by(self):
        print("started")
telemetry.Courier = Loud
from sqlalchemy import create_engine
watch = poolwatch.install(interval=0.01, grace=0)
engine = create_engine("sqlite:///shop.db")
engine.connect()
gc.collect()
deadline = time.monotonic() + 30
while not watch.snapshot().findings and time.monotonic() < deadline:
    time.sleep(0.01)
print([finding.kind for finding in watch.findings()])
watch.uninstall()
engine.dispose()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", script(tmp_path, program)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["['leak.collected']"]
