"""Standard streams that are closed or full: the command's status stays, and nothing goes where it does not belong."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from poolwatch import cli
from tests.launcher import POOLWATCH, environment


@pytest.mark.parametrize(
    ("redirection", "flags", "said"),
    [("2>&-", [], ""), (">&-", ["--report", "-"], ""), (">/dev/full", ["--report", "-"], "No space left on device\n")],
)
def test_streams_that_take_nothing(tmp_path: Path, redirection: str, flags: list[str], said: str) -> None:
    """With an output that is closed or full, run ends as its command, and says nothing on the other one."""
    words = [*POOLWATCH, "run", *flags, "--", "python", "-c", "raise SystemExit(5)"]
    line = f"{shlex.join(words)} {redirection}"
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 5
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("words", [["explain"], ["explain", "leak.overdue"]])
def test_an_output_without_room(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be written is one sentence and status 1; a closed output is no error, as for any Python program."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert cli.main(words) == 1
    assert capsys.readouterr().err == "poolwatch explain: [Errno 28] No space left on device\n"
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(words) == 0
    assert sys.stdout is not None
    sys.stdout.close()
