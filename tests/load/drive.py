"""One run: start the application under ``poolwatch run``, ask it, stop it, and compare report and client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.launcher import AGENT
from tests.load.systems import APPS, Route, System
from tests.servers.base import HOST, free_port

_READY_SECONDS = 60.0
_DONE_SECONDS = 600.0
_NEXT_LOOK = 0.2

Flows = dict[str, tuple[int, int]]
"""By name of the flow: how many there were, and how many leases they took."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one run: ``expected`` is the client's account, ``seen`` the report's."""

    seconds: float
    requests: int
    wrong: list[str]
    findings: list[str]
    failures: list[str]
    expected: Flows
    seen: Flows

    @property
    def right(self) -> bool:
        """Tell whether everything is as it must be."""
        return not (self.wrong or self.findings or self.failures) and self.seen == self.expected


def drive(system: System, url: str, requests: int, clients: int, tick: Callable[[], None]) -> Run:
    """Send so many requests, ``clients`` at a time; ``url`` is the database's, ``tick`` is called after each answer."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        place, sent = Path(folder), Counter[Route]()
        with _running(system, url, place) as base:
            start = time.monotonic()
            wrong = _ask(system, base, requests, clients, sent, tick)
            seconds = time.monotonic() - start
        report = json.loads((place / "report.json").read_text())
    expected = {route.flow: (count, count * route.leases) for route, count in sent.items()}
    findings = [f"{finding['kind']}: {finding['summary']}" for finding in report["findings"]]
    return Run(seconds, requests, wrong, findings, _failures(report), expected, _flows(report))


@contextmanager
def _running(system: System, url: str, place: Path) -> Iterator[str]:
    """Run the application in ``place`` until the block ends; gives its address, raises RuntimeError with its output."""
    port = free_port()
    monitor = [
        sys.executable,
        "-m",
        "poolwatch",
        "run",
        "--report",
        str(place / "report.json"),
        "--format",
        "json",
        "--",
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POOLWATCH_")}
    paths = {"PYTHONPATH": os.pathsep.join([str(APPS), str(AGENT)]), "LOAD_URL": url}
    with (place / "log").open("w+") as log:
        process = subprocess.Popen([*monitor, *system.argv(port)], cwd=place, env=kept | paths, stdout=log, stderr=log)
        try:
            _await(f"http://{HOST}:{port}", process, place / "log")
            yield f"http://{HOST}:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _await(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{base}/ready")
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"the application does not start: {log.read_text()[-2000:]}")


def _ask(
    system: System, base: str, requests: int, clients: int, sent: Counter[Route], tick: Callable[[], None]
) -> list[str]:
    """Send all requests and wait until what they began is done; gives what was answered wrongly."""

    def ask(number: int) -> str:
        route = system.routes[number % len(system.routes)]
        answer = client.request(route.method, route.path.format(n=number))
        tick()
        return (
            ""
            if (answer.status_code, answer.text) == (200, route.answer)
            else f"{answer.status_code} {answer.text[:80]}"
        )

    with httpx.Client(base_url=base, timeout=300) as client, ThreadPoolExecutor(clients) as pool:
        wrong = [text for text in pool.map(ask, range(requests)) if text]
        for number in range(requests):
            sent[system.routes[number % len(system.routes)]] += 1
        if system.done is not None:
            wrong += _await_done(client, system.done, requests, sent)
    return wrong


def _await_done(client: httpx.Client, done: Route, requests: int, sent: Counter[Route]) -> list[str]:
    deadline = time.monotonic() + _DONE_SECONDS
    while True:
        sent[done] += 1
        count = client.request(done.method, done.path).text
        if count == done.answer.format(n=requests):
            return []
        if time.monotonic() > deadline:
            return [f"{count} of {requests} done after {_DONE_SECONDS:.0f} s"]
        time.sleep(_NEXT_LOOK)


def _failures(report: Any) -> list[str]:
    """Give what failed in poolwatch itself, and what it dropped."""
    words = [(process["pid"], process["hook_errors"], process["dropped"]) for process in report["processes"]]
    return [f"pid {pid}: hooks {errors}, dropped {dropped}" for pid, errors, dropped in words if errors or dropped]


def _flows(report: Any) -> Flows:
    found: dict[str, tuple[int, int]] = {}
    for scope in report["scopes"]:
        flows, leases = found.get(scope["name"], (0, 0))
        found[scope["name"]] = flows + scope["flows_total"], leases + scope["leases_total"]
    return found
