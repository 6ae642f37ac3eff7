"""The benchmark's rows with exporters on: they come out, and only where something has really arrived."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = """
from bench import exporters, page
from bench.cases import SCRAPED, SENT, SQLITE, Case
from bench.modes import ModeError, modes_of
from bench.rounds import Plan, run_case

def row(operation):
    case = Case(operation, SQLITE[False], False, 1)
    return run_case(case, modes_of(case), Plan(1, 2, 0.05), lambda: None)

print(page.speed_section("rows", [row(SCRAPED), row(SENT[1.0])]))
exporters.PATIENCE = 0
exporters.Sending.export = lambda self, items: None
try:
    row(SENT[0.01])
except ModeError as error:
    print(error)
"""


def test_rows_come_out_and_prove_themselves() -> None:
    """Scraped and sent, both figures are there; where nothing arrives, the run says so instead of giving one."""
    # in a process of its own: what is set up for OpenTelemetry stays
    done = subprocess.run([sys.executable, "-c", ROWS], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "| checkout, checkin, scraped each second | sqlite+pysqlite | 1 thread |" in done.stdout
    assert "| checkout, checkin in a sampled span, sent by OTLP | sqlite+pysqlite | 1 thread |" in done.stdout
    assert done.stdout.endswith("watched run without its hook: not in place\n")
