"""The whole chain: the demo's leaks, a real Prometheus and a real Alertmanager as configured in deploy/, a webhook.

Times are shortened: what the rules wait for in minutes takes a second here. The slopes over hours are promtool's part.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from tests.receiver import Receiver, receiving
from tests.servers.base import HOST, answers, folder, program, running, tied

DEPLOY = Path(__file__).parents[1] / "deploy"
PATIENCE = 90.0
"""Seconds after which what should come is believed to be missing."""

INSTALL = """
import os, sys, threading, time
from contextlib import ExitStack
from pathlib import Path
import poolwatch
from poolwatch.demo import leaks
from poolwatch.demo.shop import Shop, open_branch
from poolwatch.demo.stage import Stage
from poolwatch.server import serve

options = dict(overdue_after=1, idle_in_transaction_after=1, starved_after=60, grace=0.2, resolve_after=6)
watch = poolwatch.install(serve=f"127.0.0.1:{sys.argv[1]}", **options)
stage = Stage(watch, Path.cwd())
def has(name):
    os.getcwd()  # raises once the folder is gone: nobody stays behind
    return Path(name).exists()
def wait_for(name):
    while not has(name):
        time.sleep(0.05)
"""

SHOP = """
night = open_branch(stage.folder, "night")
child = os.fork()
if child == 0:
    server = serve("127.0.0.1:0", watch.report)
    Path("port.new").write_text(str(server.port))
    Path("port.new").rename("port")
    wait_for("leak")
    while not has("cured"):
        with night.connect() as connection:
            connection.execute(leaks.COUNT)
        time.sleep(0.2)
    wait_for("down")
    os._exit(0)

def queue_up():
    with queue.connect():
        pass

wait_for("leak")
queue = open_branch(stage.folder, "queue", size=1, timeout=120)
with ExitStack() as scenes:
    for scene in (leaks.drop, leaks.keep, leaks.dawdle, leaks.share_connection):
        scenes.enter_context(scene(stage))
    holder = scenes.enter_context(queue.connect())
    threading.Thread(target=queue_up).start()
    while not has("cured"):
        for scene in (leaks.drop, leaks.share_connection, leaks.exhaust):
            with scene(stage):
                pass
while leaks.KEPT:
    leaks.KEPT.pop().close()
wait_for("stuck")
watch._watcher.stop()
wait_for("over")
"""

TWIN = """
from sqlalchemy.orm import Session
engine = open_branch(stage.folder, "desk", size=5)
def serve_customers():
    while True:
        with poolwatch.scope("GET /orders"), Session(engine) as session, session.begin():
            session.execute(leaks.COUNT)
        time.sleep(0.01)
for _ in range(4):
    threading.Thread(target=serve_customers).start()
"""

FULL = """
watch.uninstall()
watch = poolwatch.install(serve=f"127.0.0.1:{sys.argv[1]}", max_findings=1, resolve_after=6)
wait_for("leak")
for scene in (leaks.share_connection, leaks.drop, leaks.drop):
    with scene(stage):
        pass
wait_for("over")
"""

ALL = {
    "PoolwatchLeakProved", "PoolwatchLeakProbable", "PoolwatchLeaseOverdue", "PoolwatchPoolExhausted",
    "PoolwatchTimeouts", "PoolwatchWaiters", "PoolwatchCrossing", "PoolwatchForkCrossing", "PoolwatchFindingsDropped",
}  # fmt: skip
"""What the shop's leaks make fire."""
LATER = {"PoolwatchAgentDown", "PoolwatchWatcherStuck"}
"""What fires when poolwatch itself is gone or stands still."""
INHIBITED = {"PoolwatchTimeouts"}
"""What the exhausted pool explains."""


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://{HOST}:{port}/api/v1/query?"

    def ask(self, expression: str) -> list[dict[str, Any]]:
        with urlopen(self._url + urlencode({"query": expression}), timeout=20) as answer:
            return list(json.load(answer)["data"]["result"])

    def firing(self, job: str) -> set[str]:
        return {one["metric"]["alertname"] for one in self.ask(f'ALERTS{{alertstate="firing",job="{job}"}}')}


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.1)


_QUICKER = {
    "for: 2m": "for: 4s",
    r"for: \d+m": "for: 1s",
    r"\[(5|15)m\]": "[6s]",
    "offset 15m": "offset 6s",
    "> 900": "> 2",
}


def quick_rules() -> str:
    """Give the rules with minutes of waiting made seconds; what looks back for hours stays."""
    text = (DEPLOY / "prometheus" / "rules" / "poolwatch.rules.yml").read_text()
    for pattern, quick in _QUICKER.items():
        text, changes = re.subn(pattern, quick, text)
        assert changes, pattern
    return text


def prometheus_configuration(place: Path, targets: dict[str, list[int]], alertmanager: int) -> str:
    given = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (place / "rules.yml").write_text(quick_rules())
    given["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "500ms"}
    given["rule_files"] = [str(place / "rules.yml")]
    given["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"{HOST}:{alertmanager}"]
    (scrape,) = given["scrape_configs"]
    given["scrape_configs"] = [
        {**scrape, "job_name": job, "static_configs": [{"targets": [f"{HOST}:{port}" for port in ports]}]}
        for job, ports in targets.items()
    ]
    return str(yaml.safe_dump(given))


def alertmanager_configuration(webhook: int) -> str:
    given = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    given["route"] |= {"group_wait": "500ms", "group_interval": "1s"}
    return str(yaml.safe_dump(given)).replace("127.0.0.1:9099", f"{HOST}:{webhook}")


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{HOST}:{port}/-/ready", timeout=1):
            return True
    except (OSError, HTTPError):
        return False


@contextmanager
def playing(source: str, place: Path) -> Iterator[int]:
    """Run a program that serves its metrics, and give its port."""
    words = [sys.executable, "-W", "ignore", "-c", INSTALL + source]
    with running(lambda port: [*words, str(port)], answers, place, signal.SIGKILL, tied) as (port, _):
        yield port


@pytest.fixture
def chain() -> Iterator[tuple[Path, Prometheus, Receiver]]:
    """Give the shop's folder, the Prometheus that watches it, and the webhook at the end."""
    with ExitStack() as stack:
        places = [stack.enter_context(folder()) for _ in range(5)]
        shop, twin, full, data, storage = places
        webhook = stack.enter_context(receiving())
        ports = [
            stack.enter_context(playing(SHOP, shop)),
            stack.enter_context(playing(FULL, full)),
            stack.enter_context(playing(TWIN, twin)),
        ]
        until((shop / "port").exists, "the forked child serves")
        night = int((shop / "port").read_text())
        (storage / "alertmanager.yml").write_text(alertmanager_configuration(webhook.port))
        command = [program("prometheus-alertmanager"), f"--config.file={storage}/alertmanager.yml"]
        command += [f"--storage.path={storage}", "--cluster.listen-address="]
        alertmanager, _ = stack.enter_context(
            running(lambda port: [*command, f"--web.listen-address={HOST}:{port}"], _is_ready, storage, signal.SIGKILL)
        )
        targets = {"shop": [ports[0], night], "full": [ports[1]], "twin": [ports[2]]}
        (data / "prometheus.yml").write_text(prometheus_configuration(data, targets, alertmanager))
        words = [program("prometheus"), f"--config.file={data}/prometheus.yml", f"--storage.tsdb.path={data}/tsdb"]
        words += ["--rules.alert.resend-delay=1s"]
        port, _ = stack.enter_context(
            running(lambda port: [*words, f"--web.listen-address={HOST}:{port}"], _is_ready, data, signal.SIGKILL)
        )
        prometheus = Prometheus(port)
        until(lambda: len(prometheus.ask("up == 1")) == 4, f"four programs are scraped: {targets}")
        for place in (shop, full):
            (place / "leak").touch()
        yield shop, prometheus, webhook
        (full / "over").touch()


def sent(webhook: Receiver, status: str) -> set[str]:
    """Give the names of the alerts that the webhook was told of."""
    return {one["labels"]["alertname"] for body in webhook.taken for one in body["alerts"] if one["status"] == status}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_from_the_leak_to_the_webhook(chain: tuple[Path, Prometheus, Receiver]) -> None:
    """Each leak reaches a person and is resolved when it is cured; the correct twin is silent all the while."""
    shop, prometheus, webhook = chain
    fired: set[str] = set()
    twins: set[str] = set()

    def look() -> None:
        fired.update(prometheus.firing("shop") | prometheus.firing("full"))
        twins.update(prometheus.firing("twin"))

    def has_fired(wanted: set[str]) -> bool:
        look()
        return fired >= wanted and sent(webhook, "firing") >= wanted - INHIBITED

    until(lambda: has_fired(ALL), f"all fire, and are told: {ALL}")
    (shop / "cured").touch()
    until(lambda: look() or sent(webhook, "resolved") >= ALL - INHIBITED, "all are resolved")
    (shop / "down").touch()
    (shop / "stuck").touch()
    until(lambda: has_fired(LATER), "what poolwatch itself suffers from is told")
    (shop / "over").touch()
    assert twins == set()
    assert fired == ALL | LATER
    _assert_that_a_person_understands(webhook)


def _assert_that_a_person_understands(webhook: Receiver) -> None:
    told = {one["labels"]["alertname"]: one for body in webhook.taken for one in body["alerts"]}
    severities = {
        name: ("/pager" if one["labels"]["severity"] == "critical" else "/team") for name, one in told.items()
    }
    paths = {body["groupLabels"]["alertname"]: path for _, path, _, body in webhook.requests}
    assert paths == severities
    proved = told["PoolwatchLeakProved"]["annotations"]
    assert re.fullmatch(r"Pool returns(#\d+)? of shop leaks connections \(leak\.collected, proved\)", proved["summary"])
    assert re.match(
        r"\d+ finding\(s\) leak\.collected open on pool returns(#\d+)? in 127\.0\.0\.1:\d+\.", proved["description"]
    )
    for name, one in told.items():
        notes = one["annotations"]
        assert notes["runbook_url"] == f"docs/runbooks/{name}.md"
        assert re.search(r"127\.0\.0\.1:\d+", notes["description"])
        assert "<no value>" not in str(notes)
        assert "error" not in str(notes).lower()
