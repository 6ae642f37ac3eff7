"""Clocks that a test of the application's replaces are the application's: poolwatch reads none of their values."""

from __future__ import annotations

import re
import time
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import create_engine, text

import poolwatch

AGENT = Path(poolwatch.__file__).parent
IN_THE_HOST = ("*.py", "alert/*.py", "detectors/*.py", "evidence/*.py", "hooks/**/*.py", "ledger/*.py", "senses/*.py")


@pytest.mark.parametrize("name", ["monotonic", "time", "thread_time", "perf_counter"])
def test_no_value_is_taken(name: str, tmp_path: Path) -> None:
    """While the watcher looks and the hooks run, a list of two times serves two calls of the application's."""
    watch = poolwatch.install(interval=0.01)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_reset_on_return=None)
    try:
        engine.connect().close()
        looks = watch._watcher._looks.cpu_seconds
        with mock.patch(f"time.{name}", side_effect=[10.0, 15.0]):
            begun = getattr(time, name)()
            with engine.connect() as connection:
                connection.execute(text("select 1"))
            while watch._watcher._looks.cpu_seconds < looks + 0.005:
                pass
            assert getattr(time, name)() - begun == 5.0
        assert watch.snapshot().process.hook_errors == {}
    finally:
        engine.dispose()
        watch.uninstall()


def test_clocks_are_bound_once() -> None:
    """A clock asked for by ``time.monotonic()`` at run time would be the application's."""
    files = [file for pattern in IN_THE_HOST for file in AGENT.glob(pattern)]
    asked = [
        f"{file.name}: {found}"
        for file in files
        for found in re.findall(r"(?<![\w.])time\.(?:time|monotonic|thread_time|perf_counter)\(\)", file.read_text())
    ]
    assert len(files) > 50
    assert asked == []
