"""What is in deploy/ for Prometheus and Alertmanager: accepted by their own tools, and true to the metrics we give."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

from poolwatch.alert import alertmanager
from poolwatch.alert.alert import Alert, Origin
from poolwatch.alert.post import Post
from poolwatch.export.names import NAMES
from poolwatch.model import plain
from tests.promql import metrics
from tests.reports import finding
from tests.servers.base import HOST, folder, program, running

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "rules" / "poolwatch.rules.yml"
TESTS = sorted((PROMETHEUS / "tests").glob("*.test.yml"))
ALERTMANAGER = DEPLOY / "alertmanager" / "alertmanager.yml"
INSTALL = "is not installed; scripts/install-servers installs it"

_LISTED = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in _LISTED if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in _LISTED if "record" in rule}


def run(tool: str, *arguments: str | Path) -> str:
    """Run promtool or amtool and give what it wrote; it must succeed."""
    assert shutil.which(tool), f"{tool} {INSTALL}"
    done = subprocess.run([tool, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_rules_and_configuration() -> None:
    """Both files are valid for Prometheus, with no rule twice."""
    run("promtool", "check", "rules", "--lint-fatal", RULES)
    run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_alerts_fire_when_they_should(path: Path) -> None:
    """promtool's unit tests pass, over hours of simulated time."""
    run("promtool", "test", "rules", path)


@pytest.mark.parametrize("rule", _LISTED, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_read_what_exists(rule: dict[str, str]) -> None:
    """Each name in an expression is a metric of the table, or recorded by another rule."""
    assert metrics(rule["expr"]) <= {name.prometheus for name in NAMES}
    assert set(re.findall(r"\b(?:pool|site):\w+:\w+", rule["expr"])) <= RECORDED.keys()


def test_alerts_are_about_kinds_that_exist() -> None:
    """Each matcher for a kind matches one that the docs explain."""
    known = re.findall(r"^### `(\w+\.\w+)`", (ROOT / "docs" / "findings.md").read_text(), re.MULTILINE)
    matchers = {kind for rule in ALERTS.values() for kind in re.findall(r'kind=~?"(.+?)"', rule["expr"])}
    assert [matcher for matcher in matchers if not any(re.fullmatch(matcher, kind) for kind in known)] == []


@pytest.mark.parametrize("alert", ALERTS)
def test_alerts_are_complete(alert: str) -> None:
    """Each has a summary, a description that says where, a severity, and a runbook page of its own."""
    rule = ALERTS[alert]
    notes = rule["annotations"]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert "$labels.job" in notes["summary"]
    assert "$labels.instance" in notes["description"]
    assert notes["runbook_url"] == f"docs/runbooks/{alert}.md"
    page = (ROOT / notes["runbook_url"]).read_text()
    assert page.startswith(f"# {alert}\n\nSeverity: {rule['labels']['severity']}.\n")


def test_runbooks_are_of_alerts() -> None:
    """No page is left over from an alert that is gone."""
    assert {page.stem for page in (ROOT / "docs" / "runbooks").glob("Poolwatch*.md")} == set(ALERTS)


def _tested(path: Path) -> dict[str, list[bool]]:
    """Give for each alert that a file tests whether it is expected to fire, test by test."""
    expected: dict[str, list[bool]] = {}
    for test in yaml.safe_load(path.read_text())["tests"]:
        for case in test.get("alert_rule_test", ()):
            expected.setdefault(case["alertname"], []).append(bool(case["exp_alerts"]))
    return expected


@pytest.mark.parametrize("alert", ALERTS)
def test_alerts_have_tests(alert: str) -> None:
    """Each is seen to fire, seen not to fire, and never fires on correct traffic."""
    expected = [_tested(path).get(alert, []) for path in TESTS if path.name != "correct.test.yml"]
    assert {fires for cases in expected for fires in cases} == {True, False}
    assert set(_tested(PROMETHEUS / "tests" / "correct.test.yml")[alert]) == {False}


def test_amtool_accepts_the_example() -> None:
    """Alertmanager's own tool accepts the configuration."""
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize("alert", ALERTS)
def test_critical_alerts_page(alert: str) -> None:
    """An alert goes to the pager where it is critical, else to the team."""
    severity = ALERTS[alert]["labels"]["severity"]
    labels = (f"alertname={alert}", f"severity={severity}")
    receiver = run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels).strip()
    assert receiver == {"critical": "pager", "warning": "team"}[severity]


def test_inhibitions_name_alerts() -> None:
    """What inhibits and what is inhibited are alerts that exist."""
    matchers = [
        matcher
        for rule in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ]
    assert set(re.findall(r"Poolwatch\w+", " ".join(matchers))) <= ALERTS.keys() | {alertmanager.NAME}


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{HOST}:{port}/-/ready", timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture
def running_alertmanager() -> Iterator[str]:
    """Give the address of the API of an Alertmanager with the example's configuration."""
    with folder() as place:
        shutil.copy(ALERTMANAGER, place)
        command = [program("prometheus-alertmanager"), f"--config.file={place}/{ALERTMANAGER.name}"]
        command += [f"--storage.path={place}", "--cluster.listen-address="]
        with running(
            lambda port: [*command, f"--web.listen-address={HOST}:{port}"], _is_ready, place, signal.SIGKILL
        ) as (port, _):
            yield f"http://{HOST}:{port}/api/v2/alerts"


def _is_inhibited(api: str, alert: str, pool: str) -> bool:
    with urlopen(api, timeout=5) as answer:
        listed = json.load(answer)
    labels = {"alertname": alert, "pool": pool}
    return any(item["status"]["inhibitedBy"] for item in listed if labels.items() <= item["labels"].items())


def test_an_empty_pool_silences_what_it_explains(running_alertmanager: str) -> None:
    """A real Alertmanager holds back "overdue" for an exhausted pool, and for that pool only."""
    where = {"job": "shop", "instance": "web-1:9187"}
    alerts = [
        {"labels": {"alertname": alert, "pool": pool, **where}}
        for alert, pool in (
            ("PoolwatchPoolExhausted", "orders"),
            ("PoolwatchLeaseOverdue", "orders"),
            ("PoolwatchLeaseOverdue", "stock"),
            ("PoolwatchLeakProved", "orders"),
        )
    ]
    post = Request(running_alertmanager, json.dumps(alerts).encode(), {"Content-Type": "application/json"})
    with urlopen(post, timeout=5):
        deadline = time.monotonic() + 10
    while not _is_inhibited(running_alertmanager, "PoolwatchLeaseOverdue", "orders"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not _is_inhibited(running_alertmanager, "PoolwatchLeaseOverdue", "stock")
    assert not _is_inhibited(running_alertmanager, "PoolwatchLeakProved", "orders")
    assert not _is_inhibited(running_alertmanager, "PoolwatchPoolExhausted", "orders")


def _listed(api: str) -> dict[str, bool]:
    """Give the kinds that Alertmanager has, and whether each is inhibited."""
    with urlopen(api, timeout=5) as answer:
        return {one["labels"]["kind"]: bool(one["status"]["inhibitedBy"]) for one in json.load(answer)}


def _until_listed(api: str, wanted: dict[str, bool]) -> None:
    deadline = time.monotonic() + 30
    while _listed(api) != wanted:
        assert time.monotonic() < deadline, _listed(api)
        time.sleep(0.1)


def test_alertmanager_takes_what_poolwatch_posts(running_alertmanager: str) -> None:
    """Alerts of our own sink are open in a real Alertmanager, inhibit each other, and end when they are resolved."""
    sink = alertmanager.Alertmanager(Post(alertmanager.api(running_alertmanager), {}))
    now = time.time()
    open_ones = [
        Alert(kind, "opened", 1, plain(finding(kind=kind)), now - 60, now - 60, Origin("shop", "web-1", "web-1"))
        for kind in ("leak.collected", "leak.overdue", "starvation.exhausted")
    ]
    sink.send(open_ones)
    _until_listed(running_alertmanager, {"leak.collected": False, "leak.overdue": True, "starvation.exhausted": False})
    sink.send([replace(open_ones[0], state="resolved", at=now - 1)])
    _until_listed(running_alertmanager, {"leak.overdue": True, "starvation.exhausted": False})
