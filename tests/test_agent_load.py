"""gunicorn on PostgreSQL under load: workers are killed and recycled, the agent restarted, and no number is wrong.

    python -m tests.test_agent_load [SECONDS]

does it for two minutes, or as long as is said, and prints the figures.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import servers
from tests.launcher import POOLWATCH, environment, script, until
from tests.servers import Server
from tests.servers.base import answers, free_port
from tests.test_agent import Agent, Sums, agent, total

SITE = "poolwatch_site_checkouts_total"
APP = """
import os, time
from sqlalchemy import create_engine, text
engine = create_engine(os.environ["POSTGRES_URL"].replace("postgresql", "postgresql+psycopg"), pool_size=2)
def serve():
    with engine.connect() as connection:
        return str(connection.execute(text("select 1")).scalar())
def hold():
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        os.mkdir(f"held-{os.getpid()}")
        time.sleep(60)
def app(environ, start_response):
    body = (hold if environ["PATH_INFO"] == "/hold" else serve)() or ""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
"""


SESSIONS = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"


@dataclass
class Figures:
    """What was done, and what was seen."""

    strikes: int = 0
    holding: set[int] = field(default_factory=set)
    """Workers that were killed while they held a connection for sure."""
    killed: set[int] = field(default_factory=set)
    restarts: int = 0
    rate: float = 0.0
    """Requests in a second."""
    scrapes: int = 0
    requests: int = 0
    counted: int = 0
    processes: int = 0
    found: int = 0
    falls: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    sessions: tuple[int, int] = (0, 0)


@contextmanager
def gunicorn(folder: Path, server: Server, workers: int) -> Iterator[str]:
    """Run gunicorn under `poolwatch run`; gives its address."""
    script(folder, APP, "shop.py")
    port = free_port()
    words = ["gunicorn", "shop:app", "-w", workers, "-b", f"127.0.0.1:{port}", "--max-requests", 100]
    words += ["--max-requests-jitter", 50, "--graceful-timeout", 5, "--log-level", "error", "-p", "pid"]
    with subprocess.Popen(
        [*POOLWATCH, "run", "--report", "r.json", "--", *map(str, words)],
        cwd=folder, env=environment(POOLWATCH_DIR=str(folder / "spool"), **server.variables), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            until(lambda: answers(port) and len(_workers(folder)) >= workers, 60)
            urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=60).close()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                _end(process.pid)


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _workers(folder: Path) -> list[int]:
    """Give the pids of the workers that have a report."""
    master = int((folder / "pid").read_text()) if (folder / "pid").exists() else 0
    found = (int(path.name.partition("-")[0]) for path in (folder / "spool").glob("*-*.json"))
    return [pid for pid in found if pid != master and _parent(pid) == master]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return -1


class Rehearsal:
    """One run of load, kills and restarts."""

    def __init__(self, folder: Path, server: Server, url: str) -> None:
        self.folder, self.server, self.url = folder, server, url
        self.figures = Figures()
        self._last: Sums = {}
        self._random = random.Random(5)

    def run(self, seconds: float, pause: float) -> Figures:
        """Load the workers; three times an agent runs so long, with a strike every ``pause`` seconds, at least one."""
        words = ["wrk", "-t1", "-c4", "-d1h", "--timeout", "10s", self.url]
        began = time.monotonic()
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as load:
            assert load.stdout is not None
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
                with agent(self.folder, "--server", self.server.dsn) as seen:
                    self._watch(seen, time.monotonic() + seconds, pause)
                    self.figures.restarts += 1
                    assert seen.end(number) <= 0
            load.send_signal(signal.SIGINT)
            said = load.stdout.read()
        self.figures.requests = int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]
        self.figures.rate = self.figures.requests / (time.monotonic() - began)
        self._settle()
        return self.figures

    def _watch(self, seen: Agent, until_then: float, pause: float) -> None:
        struck = 0.0
        while not struck or time.monotonic() < until_then:
            self._scrape(seen)
            if time.monotonic() > struck + pause:
                self._strike()
                struck = time.monotonic()
            self._scrape(seen)
            time.sleep(0.1)

    def _scrape(self, seen: Agent) -> None:
        sums = seen.sums()
        self.figures.scrapes += 1
        self.figures.falls += [
            f"{key} {value!r} {sums.get(key)!r}" for key, value in self._last.items() if sums.get(key, -1.0) < value
        ]
        self._last = sums

    def _strike(self) -> None:
        """Kill a worker in the midst of a request that holds a connection, or just any; have all replaced by HUP."""
        self.figures.strikes += 1
        if self.figures.strikes % 3 == 0:
            os.kill(int((self.folder / "pid").read_text()), signal.SIGHUP)
            return
        if self.figures.strikes % 3 == 1:
            victim = self._holder()
            self.figures.holding.add(victim)
        else:
            victim = self._random.choice(_workers(self.folder))
        os.kill(victim, signal.SIGKILL)
        self.figures.killed.add(victim)

    def _holder(self) -> int:
        threading.Thread(target=self._ask_to_hold, daemon=True).start()
        known = {path.name for path in self.folder.glob("held-*")}
        until(lambda: {path.name for path in self.folder.glob("held-*")} - known)
        (name,) = {path.name for path in self.folder.glob("held-*")} - known
        pid = int(name.removeprefix("held-"))
        until(lambda: any(lease["site"]["function"] == "hold" for lease in self._report(pid)["leases"]))
        return pid

    def _ask_to_hold(self) -> None:
        try:
            urllib.request.urlopen(f"{self.url}/hold", timeout=60).close()
        except OSError:
            return  # the worker was killed, as is meant

    def _report(self, pid: int) -> dict[str, Any]:
        (path,) = (self.folder / "spool").glob(f"{pid}-*.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def _settle(self) -> None:
        """Compare, when nobody asks any more, what is counted with what clients and server know."""
        urllib.request.urlopen(self.url, timeout=60).close()  # so that somebody has a session
        with agent(self.folder) as seen, psycopg.connect(self.server.dsn, autocommit=True) as connection:

            def sessions() -> tuple[int, int]:
                (ours,) = connection.execute(SESSIONS).fetchone() or (0,)
                pools = seen.report()["pools"]
                return ours, sum(pool["used"] + pool["idle"] for pool in pools)

            until(lambda: len(set(sessions())) == 1)
            self.figures.sessions = sessions()
            self._scrape(seen)
            self.figures.counted = int(total(self._last, SITE))
            self.figures.processes = int(seen.sums(("gauge",))["poolwatch_processes", "ended"])
            self.figures.findings = seen.report()["findings"]
            held = [one for one in self.figures.findings if one["site"] and one["site"]["function"] == "hold"]
            self.figures.found = sum(one["count"] for one in held if one["kind"] == "leak.process_ended")


def judge(figures: Figures) -> None:
    """Check what must be so."""
    assert figures.falls == []
    assert figures.found == len(figures.holding)
    assert {one["kind"] for one in figures.findings} <= {"leak.process_ended"}
    assert {one["pid"] for one in figures.findings} <= figures.killed
    # A worker that is killed takes with it what it had counted since its last report, a second ago or more.
    lost = len(figures.killed) * 3 * figures.rate
    assert figures.requests - lost <= figures.counted <= figures.requests + 6 + 2 * figures.strikes
    assert figures.sessions[0] == figures.sessions[1] > 0


@pytest.mark.slow
def test_nothing_falls_and_nobody_is_wronged(tmp_path: Path, postgres: Server) -> None:
    """A few seconds of it: some of three workers are killed, and the agent is restarted twice."""
    with gunicorn(tmp_path, postgres, 3) as url:
        figures = Rehearsal(tmp_path, postgres, url).run(1, 1)
    assert figures.holding
    judge(figures)


def main(seconds: float) -> None:
    """Do it at length, and print what came of it."""
    with tempfile.TemporaryDirectory() as folder, servers.postgres() as server:
        place = Path(folder)
        with gunicorn(place, server, 8) as url:
            figures = Rehearsal(place, server, url).run(seconds / 3, 4)
        print({**vars(figures), "findings": [(one["kind"], one["pid"], one["count"]) for one in figures.findings]})
        judge(figures)


if __name__ == "__main__":
    main(float((sys.argv[1:] or ["120"])[0]))
