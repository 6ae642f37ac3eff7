"""OpenTelemetry for a command that has none: the launcher sends what ``OTEL_*`` asks for, for all its processes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from poolwatch.book import Change
from poolwatch.cli.beside import beside
from poolwatch.config import Config
from poolwatch.errors import PoolwatchError
from poolwatch.export.otel import asked
from poolwatch.export.otel.telemetry import wanted
from poolwatch.model import Finding, Json, Site
from poolwatch.report.merge import finding_key

_INTERVAL = 0.5
_LAST = 5.0
"""Seconds that the last exports may take."""
_LONGEST = 200
"""Characters shown of what an exporter says."""
Read = Callable[[str], Json]
"""Gives the report of those processes that do not send the signal themselves."""


@contextmanager
def sent_while_running(config: Config, read: Read, say: Callable[[str], object]) -> Iterator[None]:
    """Send metrics, findings' spans and log records while a command runs; ``say`` is told what hinders it."""
    providers = _providers(config, say)
    if not providers:
        yield
        return
    log = logging.getLogger("opentelemetry")
    log.addHandler(_Failures(say))
    log.propagate = False
    try:
        with beside(_Sender(providers, read, say).run, "poolwatch-telemetry"):
            yield
    finally:
        _flush(providers)


def _providers(config: Config, say: Callable[[str], object]) -> dict[str, Any]:
    found, problems = {}, set()
    for signal in filter(asked.for_otlp, sorted(wanted(config.telemetry))):
        try:
            asked.exporter(signal)
            from poolwatch.export.otel import own

            found[signal] = own.provider(signal)
        except PoolwatchError as error:
            problems.add(str(error))
    for problem in problems:
        say(problem)
    return found


def _flush(providers: dict[str, Any]) -> None:
    """Export what is left, all signals at once, and wait a bounded time."""
    milliseconds = int(_LAST * 1000)
    threads = [
        threading.Thread(target=provider.force_flush, args=[milliseconds], daemon=True)
        for provider in providers.values()
    ]
    for thread in threads:
        thread.start()
    until = monotonic() + _LAST
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))


class _Failures(logging.Handler):
    """Says of each exporter once that it fails; it logs every attempt."""

    def __init__(self, say: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._say = say
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Say what was logged, the first time."""
        if record.name not in self._said:
            self._said.add(record.name)
            self._say(f"telemetry may not arrive: {record.getMessage()[:_LONGEST]}")


class _Sender:
    """Compares the findings of each look with those of the look before; metrics are read when they are exported."""

    def __init__(self, providers: dict[str, Any], read: Read, say: Callable[[str], object]) -> None:
        from poolwatch.export.otel.spans import Spans

        self._providers = providers
        self._read = read
        self._say = say
        self._spans = Spans()
        self._open: dict[str, dict[object, bool]] = {"spans": {}, "logs": {}}
        """For each signal: the findings told of, and whether they are open."""
        if "metrics" in providers:
            from poolwatch.export.otel.metrics import instruments_of

            instruments_of(providers["metrics"]).read = lambda: read("metrics")

    def run(self, over: threading.Event) -> None:
        """Look until ``over``, and once more then."""
        try:
            while not over.wait(_INTERVAL):
                self._look()
            self._look()
        except Exception as error:  # a report that is none, or a provider that fails
            self._say(f"no more telemetry is sent: {type(error).__name__}: {error}")

    def _look(self) -> None:
        from poolwatch.export.otel import logs

        if "spans" in self._providers:
            self._spans.tell(self._providers["spans"], self._changes("spans"), [], [])
        if "logs" in self._providers:
            logs.tell(self._providers["logs"], self._changes("logs"))

    def _changes(self, signal: str) -> list[Change]:
        known = self._open[signal]
        changes: list[Change] = []
        for finding in self._read(signal)["findings"]:
            key, is_open = finding_key(finding), finding["state"] == "open"
            if key not in known or (is_open and not known[key]):
                changes.append(("opened", _of(finding)))
            if known.get(key, True) and not is_open:
                changes.append(("resolved", _of(finding)))
            known[key] = is_open
        return changes


def _of(finding: Json) -> Finding:
    known = ("kind", "grade", "pool", "library", "summary", "hint", "id", "state", "count", "resolution")
    site = finding["site"]
    return Finding(
        site=Site(site["file"], site["line"], site["function"]) if site else None,
        **{name: finding[name] for name in known},
    )
