"""The demo: it finds each of its own leaks, serves its numbers, and ends by itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec

from poolwatch.demo.leaks import SCENES

DEMO = (sys.executable, "-m", "poolwatch", "demo")


def test_demo_finds_what_it_does() -> None:
    """Every mistake is told and found, the report follows, and it ends by itself."""
    began = time.monotonic()
    done = subprocess.run([*DEMO, "--seconds", "2"], capture_output=True, text=True, timeout=100)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    found = re.findall(r"found after [\d.]+ s: (\S+) \((proved|probable|suspected)\)", done.stdout)
    assert [kind for kind, _ in found] == [scene.kind for scene in SCENES]
    assert took < 60  # 20 s where nothing else runs
    report = done.stdout.partition("This is the report:")[2]
    assert [scene.kind for scene in SCENES if scene.kind.upper() not in report] == []


def test_a_sale_without_mistakes_has_no_finding() -> None:
    """As long as the shop gives every connection back, nothing is found."""
    done = subprocess.run([*DEMO, "--seconds", "3"], capture_output=True, text=True, timeout=100)
    sale = re.findall(r"(\d+) sold; .* (\d+) findings", done.stdout)
    assert int(sale[-1][0]) > 50
    assert {findings for _, findings in sale} == {"0"}


def test_demo_serves_its_metrics_and_stops_on_interrupt() -> None:
    """While it runs its metrics can be scraped; Ctrl-C ends it without a traceback."""
    with subprocess.Popen(
        [*DEMO, "--seconds", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        url = process.stdout.readline().split()[-1]
        time.sleep(2)
        body = urllib.request.urlopen(url, timeout=5).read().decode()
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert rest.endswith("Stopped.\n")
    assert errors == ""
    assert 'db_client_connection_state="used"' in body


def test_every_scene_is_there() -> None:
    """Each scene shows another kind; the async one needs aiosqlite."""
    kinds = [scene.kind for scene in SCENES]
    assert len(set(kinds)) == len(kinds)
    assert ("crossing.loop" in kinds) == bool(find_spec("aiosqlite"))
