"""The demo: it finds each of its own leaks, serves its numbers, and ends by itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from poolwatch import Watch
from poolwatch.demo.narrator import Narrator
from poolwatch.demo.scenes import NOT_ON_SQLITE, SCENES
from poolwatch.demo.stage import Stage
from poolwatch.model import KINDS

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


def test_a_sale_without_mistakes_is_served_and_stops_on_interrupt() -> None:
    """While it gives everything back nothing is found, and its metrics can be scraped; Ctrl-C ends it quietly."""
    findings = set()
    with subprocess.Popen(
        [*DEMO, "--seconds", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        url = process.stdout.readline().split()[-1]
        sold = 0
        while sold <= 50:
            line = process.stdout.readline()
            assert line, "it sold too little in a minute"
            for number, found in re.findall(r"(\d+) sold; .* (\d+) findings", line):
                sold = int(number)
                findings.add(found)
        body = urllib.request.urlopen(url, timeout=30).read().decode()
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert findings == {"0"}
    assert process.returncode == 130
    assert rest.endswith("Stopped.\n")
    assert errors == ""
    assert 'db_client_connection_state="used"' in body


def test_every_kind_is_shown_or_said_to_be_left_out() -> None:
    """Each scene shows another kind, and what SQLite cannot show is named."""
    assert sorted([*(scene.kind for scene in SCENES), *NOT_ON_SQLITE]) == sorted(KINDS)


def test_it_says_what_is_left_out(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a module is missing the scene is left out, and what brings it is said."""
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    needy = [scene for scene in SCENES if scene.needs]
    assert Narrator(Stage(watch, tmp_path)).leaks(needy) == []
    said = capsys.readouterr().out
    assert "crossing.loop: aiosqlite not installed (pip install aiosqlite)\n" in said
    assert "orphan.socket: needs a database server (poolwatch explain orphan.socket)\n" in said
    assert "[1/" not in said
