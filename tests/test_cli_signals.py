"""Signals and terminals: the launcher must not be noticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launcher import HOLD, LEAK, POOLWATCH, SPOOLED, environment, kinds, reported, script, start

COUNTING = """
import os, signal, sys, time
seen = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
    signal.signal(number, lambda number, frame: seen.append(number))
print("ready", flush=True)
until = time.monotonic() + 30
while not seen and time.monotonic() < until:
    time.sleep(0.01)
time.sleep(0.5)
print("seen", *[signal.Signals(number).name for number in seen], flush=True)
"""

_LIBC_SIGNALS = 0b11 << 31
"""32 and 33, which the C library keeps for itself and has ignored in whatever it spawns."""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGQUIT"])
def test_signal_to_the_launcher_reaches_the_command_once(tmp_path: Path, name: str) -> None:
    """What somebody sends to the launcher is passed on, once, and the command decides."""
    with start("run", "--", script(tmp_path, COUNTING), cwd=tmp_path) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "ready\n"
        launcher.send_signal(getattr(signal, name))
        assert launcher.communicate(timeout=30)[0] == f"seen {name}\n"
        assert launcher.returncode == 0


def test_terminated_command_still_gives_its_report(tmp_path: Path) -> None:
    """SIGTERM to the launcher ends a program that does not handle it; the report comes, then the same death."""
    target = tmp_path / "r.json"
    with start("run", "--report", target, "--", script(tmp_path, HOLD), cwd=tmp_path) as launcher:
        assert launcher.stdout is not None
        launcher.stdout.readline()
        launcher.send_signal(signal.SIGTERM)
        launcher.communicate(timeout=30)
    assert launcher.returncode == -signal.SIGTERM
    assert kinds(reported(target)) == ["leak.process_ended"]


def test_killed_command_still_gives_its_report(tmp_path: Path) -> None:
    """A command killed with SIGKILL while it holds a connection: leak.process_ended, at the site."""
    target = tmp_path / "r.json"
    program = script(tmp_path, LEAK + SPOOLED + "os.kill(os.getpid(), 9)\n")
    with start("run", "--report", target, "--", program, cwd=tmp_path) as launcher:
        launcher.communicate(timeout=30)
    assert launcher.returncode == -signal.SIGKILL
    (finding,) = reported(target)["findings"]
    assert (finding["kind"], finding["grade"], finding["count"]) == ("leak.process_ended", "proved", 1)
    assert (finding["site"]["line"], finding["site"]["function"]) == (6, "take")


def test_mask_of_the_command_is_the_callers(tmp_path: Path) -> None:
    """The command starts with no signal blocked, and ignores what we were told to ignore: SIGPIPE is not in it."""
    words = ["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"]
    with start("run", "--", *words, cwd=tmp_path) as launcher:
        blocked, ignored = _masks(launcher.communicate(timeout=30)[0])
    _, ours = _masks(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)
    assert blocked == 0
    assert ignored & ~_LIBC_SIGNALS == ours & ~_LIBC_SIGNALS
    assert not ours & 1 << (signal.SIGPIPE - 1)


def _masks(status: str) -> list[int]:
    return [int(mask, 16) for mask in status.split()[1::2]]


_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def _on_terminal(words: list[str], cwd: Path, keys: bytes, ready: bytes = b"ready") -> tuple[int, bytes]:
    """Run in a terminal's foreground group, press ``keys`` once it is ready; gives return code and output."""
    terminal, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE_TERMINAL, *words],
        cwd=cwd, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    output, pressed = b"", False
    while part := _read(terminal):
        output += part
        if ready in output and not pressed:
            os.write(terminal, keys)
            pressed = True
    os.close(terminal)
    return process.wait(30), output


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the last one on the other side has gone
        return b""


def test_ctrl_c_on_a_terminal_arrives_once(tmp_path: Path) -> None:
    """The terminal tells the whole group; the launcher adds nothing to it."""
    words = [*POOLWATCH, "run", "--", str(script(tmp_path, COUNTING))]
    status, output = _on_terminal(words, tmp_path, b"\x03")
    assert b"seen SIGINT\r\n" in output
    assert status == 0


def test_ctrl_c_ends_a_plain_program_and_the_launcher_alike(tmp_path: Path) -> None:
    """A program that does not handle Ctrl-C dies of SIGINT, and so does the launcher."""
    words = [*POOLWATCH, "run", "--", str(script(tmp_path, "print('ready', flush=True)\nimport time; time.sleep(60)"))]
    status, output = _on_terminal(words, tmp_path, b"\x03")
    assert status == -signal.SIGINT
    assert b"KeyboardInterrupt" in output


def test_command_is_in_the_foreground_group(tmp_path: Path) -> None:
    """The command can read from the terminal: its process group is the foreground one."""
    program = """if 1:
        import os
        print("fg", os.tcgetpgrp(0) == os.getpgrp() == os.getpgid(os.getppid()))
        print("ready", flush=True)
        print("got", input())
    """
    status, output = _on_terminal([*POOLWATCH, "run", "--", "python", "-c", program], tmp_path, b"word\n")
    assert b"fg True" in output
    assert b"got word" in output
    assert status == 0


def test_stopped_job_is_a_stopped_launcher(tmp_path: Path) -> None:
    """Ctrl-Z stops command and launcher, so that a shell sees it; SIGCONT to the group wakes both."""
    program = script(tmp_path, "print('ready', flush=True); input(); print('end', flush=True)")
    with start("run", "--", program, cwd=tmp_path, preexec_fn=os.setpgrp, stdin=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        launcher.stdout.readline()
        os.killpg(launcher.pid, signal.SIGTSTP)
        _, status = os.waitpid(launcher.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.killpg(launcher.pid, signal.SIGCONT)
        assert launcher.communicate("\n", timeout=30)[0] == "end\n"
        assert launcher.returncode == 0


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    """A closed standard output ends the command by SIGPIPE or EPIPE as without poolwatch, and nothing hangs."""
    pipeline = f"{' '.join(POOLWATCH)} run -- yes | head -1"
    done = subprocess.run(["bash", "-c", pipeline], cwd=tmp_path, env=environment(), capture_output=True, timeout=30)
    assert done.stdout == b"y\n"


def test_top_on_a_terminal_ends_with_q(tmp_path: Path) -> None:
    """On a terminal top shows its table on another screen until q is pressed, and gives the terminal back."""
    status, output = _on_terminal([*POOLWATCH, "top"], tmp_path, b"q", ready=b"q: quit")
    assert status == 0
    assert output.count(b"\x1b[?1049h") == output.count(b"\x1b[?1049l") == 1


def test_coloured_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal the report is in colours."""
    _, output = _on_terminal([*POOLWATCH, "run", "--", str(script(tmp_path, LEAK))], tmp_path, b"")
    assert b"\x1b[1;31m== LEAK.PROCESS_ENDED" in output
