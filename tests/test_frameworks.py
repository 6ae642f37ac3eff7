"""Correct applications on real servers, driven over HTTP: no finding, no lost request, and numbers that agree.

These are short runs of ``python -m tests.load``.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.launcher import poolwatch, reported, script
from tests.load.drive import drive
from tests.load.systems import SYSTEMS, System
from tests.servers import Server

ENDS_ITSELF = """
import signal
from sqlalchemy import create_engine
engine = create_engine("sqlite:///shop.db")
for _ in range(5):
    engine.connect().close()
signal.raise_signal(signal.SIGTERM)
"""


SHORT = [system for system in SYSTEMS if system.name in ("fastapi", "flask-gthread")]
"""The others are stories too (web_flask_clean, web_celery_clean)."""


@pytest.mark.parametrize("system", SHORT, ids=[system.name for system in SHORT])
def test_every_request_is_one_flow(system: System, postgres: Server) -> None:
    """Worker threads, processes, greenlets, streams and background jobs: each request is counted, nothing is found."""
    run = drive(system, postgres.url("psycopg"), requests=120, clients=8, tick=lambda: None)
    assert (run.wrong, run.findings, run.failures) == ([], [], [])
    assert run.seen == run.expected


def test_a_server_that_ends_itself_has_its_last_word(tmp_path: Path) -> None:
    """uvicorn shuts down and raises SIGTERM once more: what came back since the last look is not counted as lost."""
    words = ("run", "--interval", "60", "--report", "r.json", "--", sys.executable, script(tmp_path, ENDS_ITSELF))
    assert poolwatch(*words, cwd=tmp_path).returncode == -signal.SIGTERM
    report = reported(tmp_path / "r.json")
    assert report["findings"] == []
    assert [pool["checkouts_total"] for pool in report["pools"]] == [5]
