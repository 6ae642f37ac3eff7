"""The agent: what it says of real processes that live, hold, are killed and come anew, and to whom it says it."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from poolwatch import text
from poolwatch.report import schema
from tests.launcher import WITHOUT_TEMPORARY_FILES, environment, kinds, poolwatch, script, start, until

WORKER = """
import sys, time
import poolwatch
poolwatch.install(interval=0.05)
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db", pool_size=20)
KEPT = []
def take():
    KEPT.append(engine.connect())
    KEPT[-1].execute(text("select 1"))
for _ in range(int(sys.argv[1])):
    with engine.connect() as connection:
        connection.execute(text("select 1"))
for _ in range(int(sys.argv[2])):
    take()
print("ready", flush=True)
sys.stdin.read()
"""
"""A program that borrows and returns some connections, then keeps some, until its standard input ends."""

Sums = dict[tuple[str, ...], float]


class Agent:
    """A running ``poolwatch agent``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.process = process
        self.said = process.stderr.readline()
        self.url = re.search(r"https?://\S+", self.said + " http://nowhere/")[0]  # type: ignore[index]

    def get(self, path: str, context: ssl.SSLContext | None = None, **headers: str) -> bytes:
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            body: bytes = answer.read()
        return body

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("report.json"))
        return found

    def sums(self, kinds: tuple[str, ...] = ("counter", "histogram")) -> Sums:
        """Give each sample of these types by its name and labels."""
        families = parse(self.get("metrics").decode())
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            if family.type in kinds or (family.name == "poolwatch_findings_total" and "counter" in kinds)
            for sample in family.samples
        }

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def agent(folder: Path, *words: object) -> Iterator[Agent]:
    """Run an agent on the folder ``spool``."""
    with start(
        "agent", "--serve", "127.0.0.1:0", "--dir", folder / "spool", "--interval", "0.1", *words, cwd=folder
    ) as process:
        try:
            yield Agent(process)
        finally:
            process.kill()


@contextmanager
def worker(folder: Path, checkouts: int = 0, held: int = 0) -> Iterator[subprocess.Popen[str]]:
    """Run a worker that has borrowed what it should, and has said so in the spool."""
    path = script(folder, WORKER, "worker.py")
    with subprocess.Popen(
        [sys.executable, path, str(checkouts), str(held)],
        cwd=folder, env=environment(POOLWATCH_DIR=str(folder / "spool")), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            until(lambda: _checkouts(folder, process.pid) == checkouts + held)
            yield process
        finally:
            process.kill()


def _checkouts(folder: Path, pid: int) -> int:
    total: int = 0
    for path in (folder / "spool").glob(f"{pid}-*.json"):
        total += sum(pool["use_seconds"]["count"] + pool["used"] for pool in json.loads(path.read_text())["pools"])
    return total


def total(sums: Sums, name: str) -> float:
    """Add up all series of a name."""
    return sum(value for (series, *_), value in sums.items() if series == name)


def only_rise(before: Sums, after: Sums) -> bool:
    """Tell whether no series has fallen or gone."""
    return all(after.get(series, -1) >= value for series, value in before.items())


def test_killed_while_holding(tmp_path: Path) -> None:
    """A worker killed with SIGKILL while it holds two connections is leak.process_ended; the living one is not."""
    with agent(tmp_path) as seen, worker(tmp_path, held=1), worker(tmp_path, 3, held=2) as victim:
        assert seen.report()["findings"] == []
        victim.kill()
        victim.wait()
        (finding,) = seen.report()["findings"]
        assert (finding["kind"], finding["grade"], finding["state"]) == ("leak.process_ended", "proved", "open")
        assert (finding["count"], finding["pid"]) == (2, victim.pid)
        assert finding["site"]["function"] == "take"
        assert not finding["owners"][0]["alive"]
        report = seen.report()
        assert kinds(report) == ["leak.process_ended"]
        assert len(report["leases"]) == 1
        jsonschema.Draft202012Validator(schema.report_schema()).validate(report)
        assert total(seen.sums(("gauge",)), "poolwatch_process_leases") == 1


def test_an_orderly_end_is_no_finding(tmp_path: Path) -> None:
    """A worker that returns everything and exits leaves its numbers and no finding."""
    with agent(tmp_path) as seen, worker(tmp_path, 4) as process:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
        report = seen.report()
        assert (report["findings"], report["leases"]) == ([], [])
        assert total(seen.sums(), "poolwatch_site_checkouts_total") == 4


def test_sums_only_rise(tmp_path: Path) -> None:
    """Over kills, the removal of files and restarts of the agent nothing falls, and nothing is counted twice."""
    expected, before = 0, Sums()
    for round in range(3):
        with agent(tmp_path) as seen, worker(tmp_path, 5, held=1) as one, worker(tmp_path, 7):
            expected += 12  # what is held is counted when it comes back
            during = seen.sums()
            assert only_rise(before, during)
            one.kill()
            one.wait()
            before = seen.sums()
            assert only_rise(during, before)
            assert total(before, "poolwatch_site_checkouts_total") == expected
            assert total(before, "poolwatch_findings_total") == round + 1
            assert seen.end(signal.SIGTERM if round else signal.SIGKILL) == (0 if round else -signal.SIGKILL)
    _make_old(tmp_path / "spool")
    with agent(tmp_path) as seen:
        until(lambda: not list((tmp_path / "spool").glob("*.json")))
        assert seen.sums().items() >= {key: v for key, v in before.items() if "cpu" not in key[0]}.items()


def _make_old(folder: Path) -> None:
    """Set the heartbeat of each process to a minute ago."""
    for path in folder.glob("*.json"):
        os.utime(path, (time.time() - 60, time.time() - 60))


def test_slots_are_small_and_used_again(tmp_path: Path) -> None:
    """Workers have slots by their start; who comes after a death takes the free one."""

    def slots() -> dict[int, int]:
        return {process["pid"]: process["slot"] for process in seen.report()["processes"] if "slot" in process}

    with agent(tmp_path) as seen, worker(tmp_path, held=1) as first, worker(tmp_path, held=2) as second:
        assert slots() == {first.pid: 0, second.pid: 1}
        first.kill()
        first.wait()
        assert slots() == {second.pid: 1}
        with worker(tmp_path, held=3) as third:
            assert slots() == {second.pid: 1, third.pid: 0}
            leases = seen.sums(("gauge",))
            assert leases["poolwatch_process_leases", "0"] == 3
            assert leases["poolwatch_process_leases", "1"] == 2


def _states(seen: Agent, pid: int) -> set[str]:
    """Give the states that the threads of a silent process are in."""
    (found,) = (one for one in seen.report()["processes"] if one["pid"] == pid)
    return {thread["state"] for thread in found.get("threads", ())}


def test_stopped_process_is_silent_and_not_dead(tmp_path: Path) -> None:
    """A process that lives but does not report has a silence; nothing is said to have leaked."""
    with agent(tmp_path) as seen, worker(tmp_path, held=1) as process:
        process.send_signal(signal.SIGSTOP)
        _make_old(tmp_path / "spool")
        until(lambda: _states(seen, process.pid) == {"stopped"})
        report = seen.report()
        (found,) = (one for one in report["processes"] if one["pid"] == process.pid)
        assert found["silent_seconds"] > 50
        assert found["state"] == "stopped"
        assert len(found["threads"]) >= 2  # its own, and the watcher
        assert report["findings"] == []
        states = seen.sums(("gauge",))
        assert [states["poolwatch_processes", state] for state in ("live", "stuck", "ended")] == [0, 1, 0]
        assert "alive but silent for 1 min" in text.render(report)
        process.send_signal(signal.SIGCONT)
        until(lambda: all("silent_seconds" not in one for one in seen.report()["processes"]))


def test_exec_is_no_death(tmp_path: Path) -> None:
    """A program that goes on as another keeps what it has counted, and has lost nothing."""
    path = script(tmp_path, WORKER, "worker.py")
    again = f"sys.stdin.readline(); import os; os.execv(sys.executable, [sys.executable, {str(path)!r}, '2', '0'])"
    script(tmp_path, WORKER.replace("sys.stdin.read()", again), "first.py")
    with agent(tmp_path) as seen, subprocess.Popen(
        [sys.executable, "first.py", "3", "1"],
        cwd=tmp_path, env=environment(POOLWATCH_DIR=str(tmp_path / "spool")), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        until(lambda: _checkouts(tmp_path, process.pid) == 4)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        until(lambda: total(seen.sums(), "poolwatch_site_checkouts_total") == 5)
        assert seen.report()["findings"] == []
        process.kill()


def test_under_run(tmp_path: Path) -> None:
    """`poolwatch run` in the folder of an agent gives its own report, and the agent knows the same."""
    source = WORKER.replace("sys.stdin.read()", "time.sleep(0.5); import os; os.kill(os.getpid(), 9)")
    with agent(tmp_path) as seen:
        target = tmp_path / "r.json"
        words = ["run", "--dir", tmp_path / "spool", "--report", target, "--", script(tmp_path, source), "2", "1"]
        assert poolwatch(*words, cwd=tmp_path).returncode == -signal.SIGKILL
        assert kinds(json.loads(target.read_text())) == kinds(seen.report()) == ["leak.process_ended"]


def _half(path: Path) -> bytes:
    return path.read_bytes()[:-40]


def test_bad_files_are_counted_and_stop_nothing(tmp_path: Path) -> None:
    """Half-written, hostile and foreign files are a number; a living process keeps its last good numbers."""
    with agent(tmp_path) as seen, worker(tmp_path, 5, held=1) as process:
        folder = tmp_path / "spool"
        before = seen.sums()
        process.send_signal(signal.SIGSTOP)
        (good,) = folder.glob("*.json")
        report = json.loads(good.read_text())
        report["pools"][0]["use_seconds"]["buckets"] = [["x"]]
        (folder / "1-1.json").write_text(json.dumps(report))
        (folder / "notes.json").write_bytes(b"\xff{")
        (folder / f"{os.getpid()}-{int(time.time() * 1e6)}.json").write_text(json.dumps({**report, "pools": [10**400]}))
        (folder / "2-99999999999999999999.json").mkdir()
        good.write_bytes(_half(good))
        after = seen.sums()
        assert only_rise(before, after)
        assert after["poolwatch_dropped_total", "spool_files"] == 5
        assert seen.sums()["poolwatch_dropped_total", "spool_files"] == 5
        assert seen.get("healthz") == b"ok\n"
        assert seen.end() == 0


def test_spoiled_memory_is_begun_anew(tmp_path: Path) -> None:
    """Where the file of what is carried over is none, that is counted, and the living are still shown."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "carried.over").write_text('{"version": 1, "report": []}')
    with agent(tmp_path) as seen, worker(tmp_path, 2):
        sums = seen.sums()
        assert sums["poolwatch_dropped_total", "spool_files"] == 1
        assert total(sums, "poolwatch_site_checkouts_total") == 2


def test_token(tmp_path: Path) -> None:
    """With a token file every host may be served; who has no token gets the health and an empty page."""
    (tmp_path / "token").write_text("open-sesame-0123456789\n")
    with agent(tmp_path, "--token-file", "token", "--serve", "0.0.0.0:0") as seen:
        assert seen.get("healthz") == b"ok\n"
        assert b"<title>poolwatch</title>" in seen.get("")
        for given in ({}, {"Authorization": "Bearer open-sesame"}, {"Authorization": "Basic open-sesame-0123456789"}):
            for path in ("metrics", "report.json", "nothing"):
                with pytest.raises(urllib.error.HTTPError, match="401") as refused:
                    seen.get(path, **given)
                assert refused.value.headers["WWW-Authenticate"] == "Bearer"
                refused.value.close()
        assert b"poolwatch_build_info" in seen.get("metrics", Authorization="Bearer open-sesame-0123456789")


def test_top_shows_its_token(tmp_path: Path) -> None:
    """``top`` sends the token of a file to the address that asks for it, and says what is missing or wrong."""
    (tmp_path / "token").write_text("open-sesame-0123456789\n")
    (tmp_path / "other").write_text("open-sesame-9876543210\n")
    with agent(tmp_path, "--token-file", "token") as seen:
        shown = poolwatch("top", seen.url, "--token-file", "token", cwd=tmp_path)
        unknown = poolwatch("top", seen.url, cwd=tmp_path)
        wrong = poolwatch("top", seen.url, "--token-file", "other", cwd=tmp_path)
    alone = poolwatch("top", "--token-file", "token", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "0 pools" in shown.stdout
    assert (unknown.returncode, wrong.returncode, alone.returncode) == (2, 2, 2)
    assert unknown.stderr.endswith("it asks for a token; use --token-file FILE\n")
    assert wrong.stderr.endswith("the token is not its own\n")
    assert alone.stderr == "poolwatch top: --token-file: only a URL asks for a token; name it, as http://HOST:PORT\n"


@pytest.mark.parametrize("elsewhere", [True, False])
def test_no_token_for_others(tmp_path: Path, elsewhere: bool) -> None:
    """Where the address sends ``top`` on to another, that one does not get the token."""
    seen: list[str | None] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(302 if elsewhere and self.path == "/report.json" else 404)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/other")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    (tmp_path / "token").write_text("open-sesame-0123456789\n")
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        poolwatch("top", f"http://127.0.0.1:{server.server_port}", "--token-file", "token", cwd=tmp_path)
        server.shutdown()
    assert seen == ["Bearer open-sesame-0123456789", *[None] * elsewhere]


def test_tls(tmp_path: Path) -> None:
    """With a certificate the same is served encrypted, and a plain request gets nothing."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "k", "-out", "c"]
    subprocess.run([*words, *subject], cwd=tmp_path, check=True, capture_output=True)
    with agent(tmp_path, "--cert", "c", "--key", "k") as seen:
        assert seen.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(tmp_path / "c"))
        assert seen.get("healthz", context) == b"ok\n"
        assert b"poolwatch_build_info" in seen.get("metrics", context)
        seen.url = seen.url.replace("https", "http")
        with pytest.raises((OSError, HTTPException)):
            seen.get("healthz")


REFUSED = {
    "another host": (["--serve", "0.0.0.0:0"], "--serve: '0.0.0.0:0' is not allowed"),
    "no token there": (["--token-file", "none"], "--token-file: 'none' cannot be read"),
    "short token": (["--token-file", "short"], "--token-file: 'short' must hold one word of at least 16 characters"),
    "key alone": (["--key", "k"], "--key needs --cert"),
    "no certificate": (["--cert", "short"], "--cert, --key: 'short' cannot be used"),
    "interval": (["--interval", "0"], "--interval: '0' is not allowed; use a number from 0.1 to 60"),
    "folder": (["--dir", "short"], "--dir: 'short' cannot be used"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(tmp_path: Path, what: str) -> None:
    """A value that is not allowed gives 2 and a sentence that names it."""
    (tmp_path / "short").write_text("secret")
    words, sentence = REFUSED[what]
    done = poolwatch("agent", *words, cwd=tmp_path, POOLWATCH_DIR=str(tmp_path / "spool"))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_ends_by_signal(tmp_path: Path, name: str) -> None:
    """The agent ends at once, with status 0 and without a word."""
    with agent(tmp_path) as seen:
        assert seen.end(getattr(signal, name)) == 0
        assert seen.process.stderr is not None
        assert seen.process.stderr.read() == ""


def test_default_folder(tmp_path: Path) -> None:
    """Without --dir it is POOLWATCH_DIR, else below XDG_RUNTIME_DIR, else a folder of this user that nobody shares."""
    for variables, folder in (
        ({"POOLWATCH_DIR": str(tmp_path / "a"), "XDG_RUNTIME_DIR": str(tmp_path / "b")}, tmp_path / "a"),
        ({"XDG_RUNTIME_DIR": str(tmp_path / "b")}, tmp_path / "b" / "poolwatch"),
        ({"XDG_RUNTIME_DIR": "", "TMPDIR": str(tmp_path)}, tmp_path / f"poolwatch-agent-{os.getuid()}"),
    ):
        words = [sys.executable, "-m", "poolwatch", "agent", "--serve", "127.0.0.1:0"]
        with subprocess.Popen(words, env=environment(**variables), stderr=subprocess.PIPE, text=True) as process:
            seen = Agent(process)
            assert seen.end() == 0
        assert seen.said.endswith(f"from {folder}\n")
        assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    done = poolwatch("agent", cwd=tmp_path, XDG_RUNTIME_DIR="", TMPDIR=str(tmp_path))
    assert (done.returncode, "is not yours alone" in done.stderr) == (2, True)


def test_no_temporary_files(tmp_path: Path) -> None:
    """Where no temporary file can be written, an agent with a folder serves, and one without says what is missing."""
    words = [sys.executable, "-c", WITHOUT_TEMPORARY_FILES, "agent", "--serve", "127.0.0.1:0"]
    variables = environment(POOLWATCH_DIR=str(tmp_path), XDG_RUNTIME_DIR="")
    with subprocess.Popen(words, env=variables, stderr=subprocess.PIPE, text=True) as process:
        seen = Agent(process)
        assert b"poolwatch_build_info" in seen.get("metrics")
        assert seen.end() == 0
    done = subprocess.run(words, env=environment(XDG_RUNTIME_DIR=""), capture_output=True, text=True, timeout=60)
    sentence = "no folder for temporary files can be written; set POOLWATCH_DIR or TMPDIR to one that can\n"
    assert (done.returncode, done.stderr) == (2, f"poolwatch agent: {sentence}")
