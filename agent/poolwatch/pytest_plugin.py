"""pytest: a test that leaks or crosses fails, with the finding's text. On by ``-p poolwatch`` or ``poolwatch = true``.

A test is judged after its own fixtures are torn down. What a fixture of wider scope takes is never the test's.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from poolwatch.expect import SETTLE, Trial
from poolwatch.model import GRADES, Finding, Grade
from poolwatch.watch import Watch, install, installed

_NAMES = {"poolwatch", "poolwatch.pytest_plugin"}
_WORST = 10
_SITES = "poolwatch_sites"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switches."""
    group = parser.getgroup("poolwatch", "connection leaks")
    group.addoption("--poolwatch", action="store_true", help="fail tests that leak or wrongly share connections")
    group.addoption("--poolwatch-report", action="store_true", help="show the suite's worst holders of connections")
    parser.addini("poolwatch", "fail tests that leak or wrongly share connections", type="bool", default=False)
    parser.addini("poolwatch_grade", "weakest grade of a finding that fails a test", default="probable")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch where somebody asked for it."""
    config.addinivalue_line("markers", "poolwatch_expect(*kinds): the test must cause a finding of each of these kinds")
    config.addinivalue_line("markers", "poolwatch_off: the test is not watched for leaks")
    if not _is_asked_for(config):
        return
    grade = config.getini("poolwatch_grade")
    if grade not in GRADES:
        raise pytest.UsageError(f"poolwatch_grade: {grade!r} is not allowed; use one of: {', '.join(GRADES)}")
    watch = installed()
    config.pluginmanager.register(Judge(watch or install(), grade, config, own=watch is None), "poolwatch-judge")


def _is_asked_for(config: pytest.Config) -> bool:
    option = config.option
    named = _NAMES & set(option.plugins or ())
    return bool(option.poolwatch or option.poolwatch_report or named or config.getini("poolwatch"))


class Judge:
    """Judges every test at its end."""

    def __init__(self, watch: Watch, grade: Grade, config: pytest.Config, *, own: bool) -> None:
        self._watch = watch
        self._grade = grade
        self._config = config
        self._own = own
        self._trial: Trial | None = None
        self._sites: list[dict[str, Any]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run one test; where it was fine otherwise, say what is wrong with its connections."""
        if item.get_closest_marker("poolwatch_off"):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        trial = self._trial = Trial(self._watch, item.nodeid)
        try:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
        finally:
            trial.end()
            self._trial = None
        if all(report.passed for report in reports):
            self._judge(item, trial, reports)
        trial.close()
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _judge(self, item: pytest.Item, trial: Trial, reports: list[pytest.TestReport]) -> None:
        expected = {kind for marker in item.iter_markers("poolwatch_expect") for kind in marker.args}
        if not expected:
            trial.settle(SETTLE)
        found = trial.verdict("suspected" if expected else self._grade)
        problem = _problem(trial, found, expected)
        if problem:
            call = next(report for report in reports if report.when == "call")
            call.outcome, call.longrepr = "failed", problem

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """Let a fixture of wider scope run outside of the test's flow."""
        trial = self._trial
        if trial is None or fixturedef.scope == "function":
            return (yield)
        with trial.excused():
            return (yield)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep the sites' totals for the summary, and stop watching."""
        sites = self._watch.report()["sites"]
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_SITES] = sites
        self._sites += sites
        if self._own:
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
