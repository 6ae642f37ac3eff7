"""Install and uninstall: where the parts are put together for one process."""

from __future__ import annotations

import errno
import os
import sys
from functools import partial
from time import time
from typing import Any

from poolwatch import __version__, model
from poolwatch.alert.own import own_alerts
from poolwatch.config import Config
from poolwatch.errors import ConfigError, PoolwatchError
from poolwatch.evidence import scopes
from poolwatch.export.otel.telemetry import Telemetry
from poolwatch.hooks import table
from poolwatch.hooks.imports import when_imported
from poolwatch.host import ends, native, speech
from poolwatch.host.guard import Guard
from poolwatch.ledger import Lease, Ledger
from poolwatch.libraries import versions
from poolwatch.lifetime import Lifetime
from poolwatch.report.spool import DIRECTORY_VARIABLE, Spool
from poolwatch.senses import greenlets, route
from poolwatch.senses.marks import Marks
from poolwatch.watcher import Watcher

_log = speech.Log("poolwatch")
_installed: Watch | None = None
_locks: dict[int, Any] = {}
"""By process: a forked child has one of its own, whoever held its parent's."""


class Watch(Lifetime):
    """poolwatch in this process: made by ``install``, ended by ``uninstall``."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.stays = False
        """True where whoever has it is another than the program, and will take it out himself."""
        self._ledger = Ledger(
            stack_depth=config.stack_depth,
            max_sites=config.max_sites,
            strict=config.strict,
            protect_fork=config.protect_fork,
        )
        self._guard = Guard()
        self._hooks: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._started_at = time()
        self._pid_namespace = native.pid_namespace()
        self._collector: Any = None
        self._server = None
        self._target = config.report and (config.report if config.report == "-" else os.path.abspath(config.report))
        folder = os.environ.get(DIRECTORY_VARIABLE)
        self._watcher = Watcher(self._ledger, self._guard, config, Spool(folder) if folder else None, self._describe)
        self._alerts = own_alerts(config, self._watcher.found)
        self._watcher.followers.append(self._alerts.follow)
        self._telemetry = Telemetry(
            config.telemetry, self.numbers, self._watcher.look, self._guard, self._ledger.dropped
        )
        self._watcher.followers.append(self._telemetry.follow)

    def _begin(self) -> None:
        speech.begin()
        route.automatic, route.depth = self.config.inherit_routes, self.config.stack_depth
        when_imported("greenlet", greenlets.may_run)
        if self.config.serve:
            self._serve(self.config.serve)  # first: it may be refused
        self._ledger.look_now = self._watcher.look_now
        self._hooks = table.install(self.config.hooks, self._ledger, self._guard)
        scopes.follow(self._ledger, self._guard)
        when_imported("prometheus_client", self._collect)
        ends.follow(self)
        self._alerts.go_on()
        self._watcher.start()

    def uninstall(self) -> None:
        """Take everything out: no listener, no patched attribute, no thread is left. Twice is once.

        What ``poolwatch run`` or the pytest plugin has put in stays: the program under it cannot take it out.
        """
        global _installed
        with _turn():
            if _installed is self and not self.stays:
                _installed = None
                self._end()

    def _end(self) -> None:
        for step in (
            ends.unfollow,
            self._wait_no_more,
            self._watcher.stop,
            self._telemetry.look_once_more,
            self._telemetry.close,
            self._guard.undo_all,
            self._watcher.close,
            self._close_server,
            self._close_collector,
            partial(self._alerts.close, "poolwatch was taken out of the process"),
            speech.end,
        ):
            try:
                step()
            except Exception as error:  # the host has changed what we had put in: the other steps must go on
                self._guard.note("uninstall", error)
        route.automatic = False

    def snapshot(self) -> model.Snapshot:
        """Give what is known now; its findings are those of the last look."""
        return native.with_collector_paused(self._watcher.snapshot)

    def findings(self) -> tuple[model.Finding, ...]:
        """Look now and give the findings, open ones first."""
        self._watcher.look()
        return self._watcher.found()

    def told_of(self) -> dict[str, frozenset[int]]:
        """Give for each open finding, by its id, the ids of the leases and waits that it is about."""
        return self._watcher.told_of()

    @property
    def ledger(self) -> Ledger:
        """Give the memory that the hooks write to."""
        return self._ledger

    def mark(self, physical: object, marks: Marks) -> None:
        """Attach what the application said of a library's pool object to its entry, where it has one."""
        home = self._ledger.homes.get(id(physical))
        if home is not None:
            home.pool.marks = marks

    def leases_out(self) -> list[Lease]:
        """Give the leases that are out now, as the ledger keeps them."""
        return self._ledger.out()

    def report(self) -> model.Json:
        """Give the report of this process as JSON (``report.schema.json``)."""
        return native.with_collector_paused(lambda: self._watcher.snapshot().to_json())

    def _collect(self) -> None:
        try:
            from poolwatch.export.prometheus import Collector

            self._collector = Collector(self.numbers)
            self._collector.register()
        except Exception as error:
            self._guard.failed("prometheus", error)

    def numbers(self) -> model.Json:
        """Give of the report what metrics are computed from: no leases, and no evidence of findings."""
        return native.with_collector_paused(lambda: self._watcher.numbers().numbers())

    def _serve(self, address: str) -> None:
        from poolwatch.server import serve

        try:
            self._server = serve(address, self.report, self.numbers)
        except ConfigError as error:
            if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                raise
            _log.error("%s is taken, as by another process of this program: this one serves nothing", address)

    def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _close_collector(self) -> None:
        if self._collector is not None:
            self._collector.unregister()
            self._collector = None

    def _describe(self) -> model.Process:
        if not self._versions:
            self._versions = {"python": sys.version.split()[0], "poolwatch": __version__, **versions()}
        return model.Process(
            pid=os.getpid(),
            ppid=os.getppid(),
            argv=tuple(sys.argv if hasattr(sys, "argv") else ()),
            started_at=self._started_at,
            versions=self._versions,
            hooks=dict(self._hooks),
            pid_namespace=self._pid_namespace,
            alerts=self._alerts.counts(),
            telemetry=self._telemetry.told(),
        )


def install(config: Config | None = None, **options: object) -> Watch:
    """Begin to watch this process; gives the Watch that is installed already, if one is.

    Keywords are the options of ``Config`` over ``POOLWATCH_*`` variables. Raises ConfigError by name of the option.
    """
    global _installed
    chosen = Config.of(config, **options)
    with _turn():
        if _installed is None:
            watch = Watch(chosen)
            _installed = watch
            try:
                watch._begin()
            except BaseException:
                watch.uninstall()
                raise
        return _installed


def _turn() -> Any:
    """Give what keeps one thread from installing, or taking out, while another does; the same one may do both."""
    return _locks.setdefault(os.getpid(), native.new_lock_of_thread())


def installed() -> Watch | None:
    """Give the Watch of this process, if one is installed."""
    return _installed


def uninstall() -> None:
    """Take everything out again, if poolwatch watches this process."""
    if _installed is not None:
        _installed.uninstall()


def snapshot() -> model.Snapshot:
    """Give what is known now, as ``Watch.snapshot`` does; raises PoolwatchError where nothing is installed."""
    return _watching().snapshot()


def findings() -> tuple[model.Finding, ...]:
    """Give all findings so far, as ``Watch.findings`` does; raises PoolwatchError where nothing is installed."""
    return _watching().findings()


def _watching() -> Watch:
    if _installed is None:
        raise PoolwatchError("poolwatch does not watch this process: call poolwatch.install() first")
    return _installed
