"""Alerts of real programs: alone, under ``poolwatch run``, and with an agent that speaks for all."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import poolwatch
from tests.launcher import environment, script, start
from tests.launcher import poolwatch as command
from tests.receiver import PATIENCE, Receiver, receiving
from tests.servers.base import HOST, free_port

LEAKING = """
import gc, os, sys, time
import poolwatch
watch = poolwatch.install(interval=0.02)
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db", pool_size=20)
def drop():
    engine.connect().execute(text("select 1"))
    gc.collect()
def elsewhere():
    engine.connect().execute(text("select 1"))
    gc.collect()
def keep():
    global kept
    kept = engine.connect()
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def run(folder: Path, source: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program that begins with LEAKING; it must end well and say nothing on standard error."""
    path = script(folder, LEAKING + source)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", path],
        cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(alert["state"], alert["finding"]["kind"]) for alert in receiver.taken]


def test_a_program_that_ends_has_a_last_chance(tmp_path: Path, receiver: Receiver) -> None:
    """What is found at the very end is told too, and the end itself resolves it; no limit makes that wait."""
    run(
        tmp_path, "keep()",
        POOLWATCH_ALERT_WEBHOOK=receiver.url, POOLWATCH_ALERT_GRADE="suspected", POOLWATCH_ALERT_LIMIT="1",
    )  # fmt: skip
    assert [state for state, _ in told(receiver)] == ["opened", "resolved"]
    assert "the process has ended" in receiver.taken[1]["text"]
    assert receiver.taken[0]["name"] == "app.py"


def test_a_sink_that_hangs_does_not_keep_a_program(tmp_path: Path, receiver: Receiver) -> None:
    """The last chance is two seconds, however many alerts wait."""
    receiver.treat(*["hang"] * 9)
    began = time.monotonic()
    run(tmp_path, "drop()\ntime.sleep(0.2)", POOLWATCH_ALERT_WEBHOOK=receiver.url)
    assert time.monotonic() - began < 15
    assert receiver.requests


LATENCY = """
from time import perf_counter
def best(rounds):
    times = []
    for _ in range(rounds):
        began = perf_counter()
        for _ in range(20):
            engine.connect().close()
        times.append(perf_counter() - began)
    return sorted(times)[len(times) // 4]
best(300)
before = [best(200) for _ in range(3)]
drop()
while not os.path.exists("asked"):
    time.sleep(0.01)
during = [best(200) for _ in range(3)]
print(min(during) / min(before))
"""


@pytest.mark.alone
def test_the_application_is_not_delayed(tmp_path: Path, receiver: Receiver) -> None:
    """While a sink hangs, a lease takes as long as before."""
    receiver.treat(*["hang"] * 9)
    path = script(tmp_path, LEAKING + LATENCY)
    with subprocess.Popen(
        [sys.executable, path], cwd=tmp_path, env=environment(POOLWATCH_ALERT_WEBHOOK=receiver.url),
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        until(lambda: receiver.requests)
        (tmp_path / "asked").touch()
        assert process.stdout is not None
        ratio = float(process.stdout.read())
    assert ratio < 1.3


FORK = """
drop()
until = time.monotonic() + 30
while "function sent" not in watch.report()["processes"][0]["alerts"]:
    assert time.monotonic() < until
    time.sleep(0.01)
child = os.fork()
if child == 0:
    keep()
    watch.findings()
    os._exit(0)
os.waitpid(child, 0)
engine.connect().close()
"""


def test_a_forked_child_begins_anew(tmp_path: Path) -> None:
    """A child tells of its own faults, not of its parent's, and a fork beside a sender makes no warning."""
    source = 'watch.uninstall()\nsaid = lambda a: os.write(1, f\'{a["instance"]} {a["state"]}\\n\'.encode())\n'
    source += "watch = poolwatch.install(alert=said, interval=0.02, alert_grade='suspected')\n"
    lines = run(tmp_path, source + FORK).stdout.splitlines()
    parent, child = sorted({line.split()[0] for line in lines}, key=lambda name: int(name.rpartition(":")[2]))
    assert [line.split()[1] for line in lines if line.startswith(f"{parent} ")] == ["opened", "resolved"]
    assert [line.split()[1] for line in lines if line.startswith(f"{child} ")] == ["opened", "resolved"]


def test_function_and_uninstall(tmp_path: Path) -> None:
    """A function gets what webhooks get; when poolwatch is taken out, what was told is resolved."""
    source = """
watch.uninstall()
calls = []
watch = poolwatch.install(alert=calls.append, interval=0.02)
drop()
while not calls:
    time.sleep(0.01)
counts = watch.report()["processes"][0]["alerts"]
watch.uninstall()
print([call["state"] for call in calls], calls[-1]["finding"]["resolution"], counts)
"""
    assert run(tmp_path, source).stdout.strip() == (
        "['opened', 'resolved'] poolwatch was taken out of the process {'function sent': 1}"
    )


def test_a_function_that_is_none_is_refused() -> None:
    """What cannot be called is refused by name, and no variable can name a function."""
    with pytest.raises(poolwatch.ConfigError, match="'alert': 'print' is not allowed; use a function"):
        poolwatch.install(alert="print")


def test_metric(tmp_path: Path, receiver: Receiver) -> None:
    """Alerts are counted by sink and outcome."""
    receiver.treat("500")
    source = """
from prometheus_client import generate_latest
watch.uninstall()
watch = poolwatch.install(interval=0.02)
drop()
while b'outcome="sent"' not in generate_latest():
    time.sleep(0.01)
print(generate_latest().decode())
"""
    printed = run(tmp_path, source, POOLWATCH_ALERT_WEBHOOK=receiver.url).stdout
    found = dict(re.findall(r'^poolwatch_alerts_total{sink="webhook",outcome="(\w+)"} (\S+)', printed, re.MULTILINE))
    found |= dict(re.findall(r'^poolwatch_alerts_total{outcome="(\w+)",sink="webhook"} (\S+)', printed, re.MULTILINE))
    assert found == {"sent": "1.0", "failed": "1.0"}


def test_run_sends_for_all_its_processes(tmp_path: Path, receiver: Receiver) -> None:
    """One alert for a fault of two processes; no child knows the webhook, and what fails is said once."""
    receiver.treat("503", "503")
    source = """
print(sorted(name for name in os.environ if name.startswith("POOLWATCH_ALERT")))
if len(sys.argv) == 1:
    import subprocess
    child = subprocess.Popen([sys.executable, __file__, "child"])
drop()
time.sleep(1)
if len(sys.argv) == 1:
    child.wait()
"""
    path = script(tmp_path, LEAKING + source)
    done = command("run", path, cwd=tmp_path, POOLWATCH_ALERT_WEBHOOK=receiver.url)
    assert done.stdout == "[]\n[]\n"
    assert done.stderr.count("poolwatch: alerts cannot be sent to webhook 127.0.0.1") == 1
    assert told(receiver) == [("opened", "leak.collected"), ("resolved", "leak.collected")]
    assert receiver.taken[1]["finding"]["count"] == 2
    assert "the command has ended" in receiver.taken[1]["text"]
    assert receiver.taken[0]["name"] == "app.py"


@contextmanager
def agent(folder: Path, url: str) -> Iterator[str]:
    """Run an agent that sends, and give its address; its end must be clean."""
    words = ["agent", "--serve", f"{HOST}:0", "--dir", folder / "spool", "--interval", "0.1", "--alert-webhook", url]
    with start(*words, cwd=folder) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


@contextmanager
def workers(folder: Path, count: int, url: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run programs that leak when they are told to, and know a webhook of their own."""
    source = "for name in sys.stdin:\n    globals()[name.strip()]()\n    print('leaked', flush=True)\n"
    path = script(folder, LEAKING + source, "worker.py")
    env = environment(POOLWATCH_DIR=str(folder / "spool"), POOLWATCH_ALERT_WEBHOOK=url)
    processes = [
        subprocess.Popen([sys.executable, path], cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.communicate(timeout=30)


def leak(process: subprocess.Popen[bytes], where: bytes = b"drop") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(where + b"\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"leaked\n"


@pytest.mark.slow
def test_an_agent_speaks_for_all(tmp_path: Path, receiver: Receiver) -> None:
    """One alert for all processes while an agent sends; a restarted one tells nothing twice; without, each speaks."""
    with receiving() as own, workers(tmp_path, 2, own.url) as both:
        with agent(tmp_path, receiver.url) as address:
            for process in both:
                leak(process)
            until(lambda: receiver.taken)
            until(lambda: 'sink="webhook"' in _get(address + "metrics"))
            until(lambda: _count(address) == 2)
        with agent(tmp_path, receiver.url) as address:
            assert json.loads(_get(address + "report.json"))["alerts"] == {"webhook sent": 1}
            until(lambda: _count(address) == 2)
            leak(both[0], b"elsewhere")
            until(lambda: len(receiver.taken) == 2)
        assert [alert["finding"]["site"]["function"] for alert in receiver.taken] == ["drop", "elsewhere"]
        assert receiver.taken[0]["name"] == "spool"
        assert own.requests == []
        leak(both[1], b"elsewhere")
        for process in both:
            process.communicate(timeout=30)
        assert [state for state, _ in told(own)] == ["opened", "resolved"]


def _get(url: str) -> str:
    from urllib.request import urlopen

    with urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def _count(address: str) -> int:
    return sum(finding["count"] for finding in json.loads(_get(address + "report.json"))["findings"])


def test_alert_test(tmp_path: Path, receiver: Receiver) -> None:
    """The command says for each sink what happened, and fails where one did not take it."""
    token = "T0PSECRET"
    url = f"http://me:{token}@{HOST}:{receiver.port}/{token}"
    done = command("alert", "test", "--alert-webhook", url, "--alert-alertmanager", url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place = re.escape(f"{HOST}:{receiver.port}")
    assert re.fullmatch(rf"webhook {place}: sent \(\S+ s\)\nalertmanager {place}: sent \(\S+ s\)\n", done.stdout)
    assert receiver.taken[0]["test"] is True
    assert receiver.taken[0]["text"].startswith("TEST: ")
    assert receiver.taken[1][0]["labels"]["test"] == "true"
    receiver.treat("403")
    urls = f"{url},http://{HOST}:{free_port()}/{token}"
    failed = command("alert", "test", cwd=tmp_path, POOLWATCH_ALERT_WEBHOOK=urls)
    assert failed.returncode == 1
    assert f"webhook {HOST}:{receiver.port}: FAILED: answered 403 Forbidden" in failed.stdout
    assert "FAILED: Connection refused" in failed.stdout
    assert token not in done.stdout + done.stderr + failed.stdout + failed.stderr


def test_alert_test_without_a_sink(tmp_path: Path) -> None:
    """Where there is nobody to tell, that is an error that says what to do; a bad option is named."""
    done = command("alert", "test", cwd=tmp_path)
    assert done.returncode == 2
    assert "no sink; use --alert-webhook" in done.stderr
    bad = command("alert", "test", "--alert-webhook", "hooks.example/T0PSECRET", cwd=tmp_path)
    assert bad.returncode == 2
    assert "--alert-webhook: '(hidden)' is not allowed; use URLs" in bad.stderr
    assert "T0PSECRET" not in bad.stderr
