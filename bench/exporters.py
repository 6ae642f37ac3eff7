"""Exporters as they run in production: scraped or sending each second, with a peer in a process of its own.

Where poolwatch is not installed nothing is exported, for the metrics and spans are its own.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from bench import tracing
from bench.peer import PERIOD
from poolwatch.cli.beside import beside
from poolwatch.model import Json
from poolwatch.server import serve
from poolwatch.watch import installed

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0
"""Seconds after which what should come is believed to be missing."""

Proof = Callable[[], bool]
"""Tells whether what was to be exported has arrived, and waits for it."""


@contextmanager
def scraped() -> Iterator[Proof]:
    """Answer a scrape each second, as the option ``serve`` does."""
    watch = installed()
    if watch is None:
        yield lambda: False
        return
    scrapes: list[float] = []

    def numbers() -> Json:
        scrapes.append(monotonic())
        return watch.numbers()

    with serve("127.0.0.1:0", watch.report, numbers) as server, _peer("scrape", f"{server.url}metrics"):
        yield lambda: _comes_true(lambda: bool(scrapes))


@contextmanager
def sent() -> Iterator[Proof]:
    """Send the spans that the program's provider gets, and each second its metrics, by OTLP over HTTP."""
    if installed() is None:
        yield lambda: False
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MetricsTimeoutError

    reader = tracing.set_up_metrics()

    def measure(over: threading.Event) -> None:
        while not over.wait(PERIOD):
            with suppress(MetricsTimeoutError):  # as in the SDK's own reader: the next one tells of all
                metrics.export(reader.get_metrics_data())

    with _peer("receive") as peer:
        assert peer.stdout is not None
        url = peer.stdout.readline().strip()
        spans, metrics = Sending(OTLPSpanExporter(f"{url}/v1/traces")), Sending(OTLPMetricExporter(f"{url}/v1/metrics"))
        with tracing.spans_to(spans), beside(measure, "bench-metrics"):
            yield lambda: _comes_true(lambda: spans.arrived and metrics.arrived)
        spans.shutdown()
        metrics.shutdown()


class Sending:
    """An exporter that knows whether something of what it sent has arrived."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self.shutdown = exporter.shutdown
        self.arrived = False

    def export(self, items: Any) -> Any:
        """Send ``items``; nothing where there are none yet."""
        result = self._exporter.export(items) if items else None
        self.arrived |= result is not None and result.name == "SUCCESS"
        return result


@contextmanager
def _peer(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.peer", *words]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()  # which is what it ends with


def _comes_true(condition: Proof) -> bool:
    deadline = monotonic() + PATIENCE
    while not condition() and monotonic() < deadline:
        sleep(0.05)
    return condition()
