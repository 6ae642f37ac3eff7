"""The agent beside processes whose pids are of another table, as in containers: no false alarm, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.launcher import environment, script, until
from tests.test_agent import WORKER, agent, total

_APART = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _is_possible() -> bool:
    return os.getuid() == 0 and subprocess.run([*_APART, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _is_possible(), reason="a pid namespace needs root")
def test_foreign_processes_are_judged_by_their_heartbeat(tmp_path: Path) -> None:
    """What holds and writes is shown, though nobody here has its pid; its end is no finding, and its sums stay."""
    path = script(tmp_path, WORKER, "worker.py")
    worker = subprocess.Popen(
        [*_APART, sys.executable, path, "4", "1"], cwd=tmp_path, env=environment(POOLWATCH_DIR=str(tmp_path / "spool")),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with worker, agent(tmp_path) as seen:
        until(lambda: total(seen.sums(("gauge",)), "poolwatch_leases") == 1)
        assert seen.sums(("gauge",))["poolwatch_processes", "live"] == 1
        time.sleep(0.5)  # the agent looks several times meanwhile
        assert seen.report()["findings"] == []
        worker.kill()
        worker.wait()
        for file in (tmp_path / "spool").glob("*.json"):
            os.utime(file, (time.time() - 90, time.time() - 90))
        until(lambda: seen.sums(("gauge",))["poolwatch_processes", "ended"] == 1)
        assert seen.report()["findings"] == []
        assert total(seen.sums(), "poolwatch_site_checkouts_total") == 4
