"""Mistakes that no single connection shows, only many of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import poolwatch
from poolwatch.demo.leaks import KEPT, in_threads, join
from poolwatch.demo.shop import open_branch
from poolwatch.demo.stage import Stage


@contextmanager
def stream(stage: Stage) -> Iterator[None]:
    """Keep a connection each while twenty customers download a catalogue slowly."""
    engine = open_branch(stage.folder, "catalogue", size=20)

    def download() -> None:
        with poolwatch.scope("GET /catalogue"), engine.connect():
            time.sleep(1.1)

    join(in_threads(*[download] * 20))
    yield


@contextmanager
def hoard(stage: Stage) -> Iterator[None]:
    """Keep one more connection every third of a second, until that is seen."""
    engine = open_branch(stage.folder, "complaints", size=10)
    began = time.time()
    for _ in range(10):
        KEPT.append(engine.connect())
        if stage.wait_for("drift.rising_floor", began, 0.35):
            break
    yield
