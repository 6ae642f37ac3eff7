"""What the pytest plugin does once it is asked for: it judges each test, and fails it with the finding's text.

A test is judged after its own fixtures are torn down. What a fixture of wider scope takes is never the test's.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from _pytest import runner

from poolwatch.model import GRADES, Finding, Grade
from poolwatch.testing.expect import SETTLE, Trial
from poolwatch.watch import Watch, install, installed

_WORST = 10
_SITES = "poolwatch_sites"
_BOOKS = (pytest.FixtureDef, pytest.FixtureRequest, pytest.Item, pytest.Collector, pytest.Config)
"""By which pytest reaches every fixture of every test."""


def begin(config: pytest.Config) -> None:
    """Begin to watch, and to judge; raises UsageError."""
    grade = config.getini("poolwatch_grade")
    if grade not in GRADES:
        raise pytest.UsageError(f"poolwatch_grade: {grade!r} is not allowed; use one of: {', '.join(GRADES)}")
    watch = installed()
    judge = Judge(watch or install(), grade, config, own=watch is None)
    config.pluginmanager.register(judge, "poolwatch-judge")


class Judge:
    """Judges every test at its end."""

    def __init__(self, watch: Watch, grade: Grade, config: pytest.Config, *, own: bool) -> None:
        self._watch = watch
        self._grade = grade
        self._config = config
        self._own = own
        watch.stays = watch.stays or own
        self._trial: Trial | None = None
        self._reports: list[pytest.TestReport] = []
        """Of the test that runs, phase by phase."""
        self._late = False
        """True where tests are told of when they are over."""
        self._wider: dict[int, Any] = {}
        """Fixtures of wider scope than a test that are set up, by id."""
        self._sites: list[dict[str, Any]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Tell of tests when they are over, unless another plugin (one that runs tests again) has the say there."""
        others = [
            impl
            for impl in session.config.hook.pytest_runtest_protocol.get_hookimpls()
            if not (impl.hookwrapper or impl.wrapper or impl.plugin is runner)
        ]
        if not others:
            self._late = True
            session.config.pluginmanager.register(Late(), "poolwatch-late")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Begin to watch one test."""
        self._drop_trial()
        if not item.get_closest_marker("poolwatch_off"):
            self._reports = []
            self._trial = Trial(self._watch, item.nodeid)
            self._trial.share(self._watch.leases_out())
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Where a test was fine otherwise, say at its end what is wrong with its connections."""
        report = yield
        trial = self._trial
        if trial is not None:
            self._reports.append(report)
            if report.when == "teardown":
                trial.end()
                if all(report.passed for report in self._reports):
                    self._judge(item, trial)
                self._drop_trial()
        return report

    def _drop_trial(self) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.close()

    def _judge(self, item: pytest.Item, trial: Trial) -> None:
        expected = {kind for marker in item.iter_markers("poolwatch_expect") for kind in marker.args}
        trial.excuse_kept_by((value for fixture in self._wider.values() for value in _kept(fixture)), _BOOKS)
        if not expected:
            trial.settle(SETTLE)
        found = trial.verdict("suspected" if expected else self._grade)
        problem = _problem(trial, found, expected)
        if problem:
            # the call's report is still to be told of, where the telling is ours
            failed = next(report for report in self._reports if report.when == ("call" if self._late else "teardown"))
            failed.outcome, failed.longrepr = "failed", problem

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """Let a fixture of wider scope run outside of the test's flow."""
        trial = self._trial
        if fixturedef.scope == "function":
            return (yield)
        self._wider[id(fixturedef)] = fixturedef
        if trial is None:
            return (yield)
        with trial.excused():
            return (yield)

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        """Forget a fixture that is torn down."""
        self._wider.pop(id(fixturedef), None)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep the sites' totals for the summary, and stop watching."""
        sites = self._watch.report()["sites"]
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_SITES] = sites
        self._sites += sites
        if self._own:
            self._watch.stays = False
            self._watch.uninstall()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take the totals of one of xdist's workers."""
        self._sites += getattr(node, "workeroutput", {}).get(_SITES, [])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show who held connections longest."""
        if not self._config.option.poolwatch_report:
            return
        terminalreporter.section("poolwatch: connections held longest")
        for site, leases, held, busy in _worst(self._sites):
            terminalreporter.write_line(f"{held:8.2f} s held, {busy:8.2f} s in SQL, {leases:6} leases  {site}")


class Late:
    """Runs each test and tells of it afterwards, so that its call can still fail at the end of its teardown."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run one test."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in runner.runtestprotocol(item, log=False, nextitem=nextitem):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True


def _kept(fixture: Any) -> list[Any]:
    """Give the value of a fixture, and what will tear it down: its suspended generator is among that."""
    return [(fixture.cached_result or (None,))[0], *getattr(fixture, "_finalizers", ())]


def _problem(trial: Trial, found: list[Finding], expected: set[str]) -> str:
    missing = expected - {finding.kind for finding in found}
    if missing:
        return f"poolwatch: expected {', '.join(sorted(missing))}, which did not happen"
    others = [finding for finding in found if finding.kind not in expected] if not expected else []
    return f"poolwatch: this test is wrong about its connections\n\n{trial.text(others)}" if others else ""


def _worst(sites: list[dict[str, Any]]) -> list[tuple[str, int, float, float]]:
    sums: dict[str, tuple[int, float, float]] = {}
    for totals in sites:
        place = totals["site"]
        name = f"{place['file']}:{place['line']} {place['function']}" if place else "(other)"
        leases, held, busy = sums.get(name, (0, 0.0, 0.0))
        sums[name] = (
            leases + totals["checkouts_total"],
            held + totals["use_seconds_total"],
            busy + totals["busy_seconds_total"],
        )
    ranked = sorted(sums.items(), key=lambda item: -item[1][1])
    return [(name, *numbers) for name, numbers in ranked[:_WORST]]
