"""The whole play: install poolwatch, sell, leak, report, uninstall."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import poolwatch
from poolwatch.cli.sources import temporary
from poolwatch.config import Config
from poolwatch.demo.leaks import KEPT
from poolwatch.demo.narrator import Narrator
from poolwatch.demo.scenes import SCENES
from poolwatch.demo.shop import Shop, close_branches
from poolwatch.demo.stage import Stage
from poolwatch.report.spool import DIRECTORY_VARIABLE
from poolwatch.server import serve

# Far below the defaults, so that nobody has to wait a minute for a finding.
IMPATIENT = Config(
    interval=0.1, grace=0.3, overdue_after=1.5, idle_in_transaction_after=0.6, starved_after=2.0,
    blocked_loop_after=0.1, floor_window=0.3, floor_steps=4,
)  # fmt: skip


def play(port: int, seconds: float, stay: float) -> int:
    """Sell for ``seconds``, leak, and serve for ``stay`` seconds more; gives the exit status."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="poolwatch-demo-", dir=temporary()) as folder,
            _watched(Path(folder)) as stage,
            serve(f"127.0.0.1:{port}", stage.report) as server,
        ):
            return _play(stage, server.url, seconds, stay)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130


@contextmanager
def _watched(folder: Path) -> Iterator[Stage]:
    """Install poolwatch, told where child processes shall leave their reports, and take it out at the end."""
    os.environ[DIRECTORY_VARIABLE] = str(folder)
    watch = poolwatch.install(IMPATIENT)
    try:
        yield Stage(watch, folder)
    finally:
        KEPT.clear()
        close_branches()
        watch.uninstall()
        del os.environ[DIRECTORY_VARIABLE]


def _play(stage: Stage, url: str, seconds: float, stay: float) -> int:
    narrator = Narrator(stage)
    narrator.open(url)
    with Shop(stage.folder) as shop:
        narrator.sale(shop, seconds)
    missed = narrator.leaks(SCENES)
    narrator.close(stay)
    return 1 if missed else 0
