"""``poolwatch run``: exit statuses, streams, reports."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launcher import CLEAN, LEAK, SPOOLED, kinds, poolwatch, reported, script


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_status_is_the_commands_own(tmp_path: Path, status: int) -> None:
    """The exit status of the command is the exit status of run."""
    assert poolwatch("run", "--", "python", "-c", f"raise SystemExit({status})", cwd=tmp_path).returncode == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
def test_dies_of_the_commands_signal(tmp_path: Path, number: signal.Signals) -> None:
    """Where a signal killed the command, the launcher dies of the same one."""
    program = f"""if 1:
        import os, signal
        if {number:d} != signal.SIGKILL:
            signal.signal({number:d}, signal.SIG_DFL)
        os.kill(os.getpid(), {number:d})
    """
    assert poolwatch("run", "--", "python", "-c", program, cwd=tmp_path).returncode == -number
    assert not list(tmp_path.glob("core*"))


@pytest.mark.parametrize(("command", "shown"), [("no-such-command-here", "no-such-command-here"), ("", "''")])
def test_command_not_found(command: str, shown: str, tmp_path: Path) -> None:
    """A command that does not exist gives 127 and a sentence, as in a shell; so does an unset variable's empty word."""
    done = poolwatch("run", "--", command, cwd=tmp_path)
    assert done.returncode == 127
    assert done.stderr == f"poolwatch: {shown}: command not found\n"


def test_command_not_executable(tmp_path: Path) -> None:
    """A file that may not be executed gives 126."""
    (tmp_path / "data").write_text("no program")
    done = poolwatch("run", "--", "./data", cwd=tmp_path)
    assert done.returncode == 126
    assert "cannot be executed" in done.stderr


def test_streams_and_arguments_are_untouched(tmp_path: Path) -> None:
    """Standard input, output and every argument reach the command as they are, bytes included."""
    program = "import sys; sys.stdout.write(sys.stdin.read()); print(sys.argv[1:])"
    arguments = ["--report", "--", "-x", "", "a b", "ü"]
    done = poolwatch("run", "--", "python", "-c", program, *arguments, cwd=tmp_path, stdin="hello\n")
    assert done.stdout == "hello\n" + repr(arguments) + "\n"


def test_double_dash_of_the_command_survives(tmp_path: Path) -> None:
    """Without a -- of its own, run leaves the command's -- alone."""
    done = poolwatch("run", "python", "-c", "import sys; print(sys.argv[1:])", "--", "x", cwd=tmp_path)
    assert done.stdout == "['--', 'x']\n"


def test_one_line_where_all_is_well(tmp_path: Path) -> None:
    """A clean program gives one line on standard error."""
    done = poolwatch("run", "--", script(tmp_path, CLEAN), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr == "poolwatch: 1 process, 1 pool, 1 lease, no findings\n"


def test_leak_is_told_on_standard_error(tmp_path: Path) -> None:
    """A leak gives the report on standard error, with kind, site and source line; the status stays 0."""
    done = poolwatch("run", "--", "python", script(tmp_path, LEAK), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == ""
    assert "LEAK.PROCESS_ENDED -- proved" in done.stderr
    assert "app.py:6 take" in done.stderr
    assert "> connection = engine.connect()" in done.stderr


def test_report_as_json_file(tmp_path: Path) -> None:
    """--report PATH.json writes JSON that nobody else may read."""
    target = tmp_path / "leaks.json"
    done = poolwatch("run", "--report", target, "--", script(tmp_path, LEAK), cwd=tmp_path)
    assert kinds(reported(target)) == ["leak.process_ended"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert f"the report is in {target}" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.py", "leaks.json", "shop.db"]


def test_report_to_standard_output(tmp_path: Path) -> None:
    """--report - writes it to standard output, after the command's own output."""
    done = poolwatch("run", "--report", "-", "--", script(tmp_path, "print('mine')\n" + LEAK), cwd=tmp_path)
    assert done.stdout.startswith("mine\npoolwatch report")


def test_report_into_a_device_leaves_the_device(tmp_path: Path) -> None:
    """A report to a pipe is written into it, not put in its place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        poolwatch("run", "--report", pipe, "--", script(tmp_path, LEAK), cwd=tmp_path)
        assert "LEAK.PROCESS_ENDED" in reader.communicate(timeout=30)[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("grade", "source", "status"),
    [("never", LEAK, 0), ("proved", LEAK, 3), ("suspected", LEAK, 3), ("suspected", CLEAN, 0)],
)
def test_fail_on(tmp_path: Path, grade: str, source: str, status: int) -> None:
    """--fail-on gives 3 where a finding of the grade is there, and only there."""
    assert poolwatch("run", "--fail-on", grade, "--", script(tmp_path, source), cwd=tmp_path).returncode == status


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--grace", "soon"], "--grace: 'soon' is not allowed; use a number from 0 to 3600"),
        (["--stack-depth", "0"], "--stack-depth: '0' is not allowed; use a whole number from 1 to 128"),
        (["--fail-on", "maybe"], "--fail-on: 'maybe' is not allowed; use one of proved, probable, suspected, never"),
        (["--format", "xml"], "--format: 'xml' is not allowed; use one of text, json"),
        (["--report", "/none/x"], "--report: '/none/x' is not allowed; use the path of a file in a folder that can be"),
        (["--report", "/"], "--report: '/' is not allowed; use the path of a file in a folder that can be written to"),
        (["--serve", "0.0.0.0:9187"], "--serve: '0.0.0.0:9187' is not allowed"),
        (["--dir", "/proc/none/x"], "--dir: '/proc/none/x' cannot be used"),
        (["--no-such-flag", "1"], "poolwatch run: error: unrecognized arguments: --no-such-flag"),
    ],
)
def test_bad_values_are_refused_by_name(tmp_path: Path, flags: list[str], message: str) -> None:
    """A bad flag is named with its value and what is allowed; the command does not run."""
    done = poolwatch("run", *flags, "--", "python", "-c", "print('ran')", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("POOLWATCH_INTERVAL", "x"), ("POOLWATCH_SERVE", "0.0.0.0:9187"), ("POOLWATCH_REPORT", "/no/such/folder/x")],
)
def test_bad_variable_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    """A bad POOLWATCH_ variable is named as the variable it is."""
    done = poolwatch("run", "--", "python", "-c", "print('ran')", cwd=tmp_path, **{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"poolwatch run: {name}: {value!r} is not allowed; use " in done.stderr


ENDS = """
import os, signal, time
import poolwatch
from poolwatch.text import render
child = os.fork()
if child == 0:
    time.sleep(60)
def told(pid):
    return any(name.startswith(f"{pid}-") for name in os.listdir(os.environ["POOLWATCH_DIR"]))
while not (told(child) and told(os.getpid())):
    time.sleep(0.02)
print(next(line for line in render(poolwatch.installed().report()).splitlines() if line.startswith("pid ")))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print(child)
"""


def test_report_says_who_runs_and_who_died(tmp_path: Path) -> None:
    """A process that reports itself runs; one that was killed has said no last word; one that ended ran."""
    done = poolwatch("run", "--report", "r.txt", "--", script(tmp_path, ENDS), cwd=tmp_path)
    itself, child = done.stdout.splitlines()
    assert re.search(r"\(running for \d", itself)
    lines = [line for line in (tmp_path / "r.txt").read_text().splitlines() if line.startswith("pid ")]
    (died,) = [line for line in lines if line.startswith(f"pid {child}: ")]
    (ended,) = [line for line in lines if line != died]
    assert "(no last word, " in died
    assert "(ran " in ended


def test_no_command(tmp_path: Path) -> None:
    """run without a command says how it is used."""
    done = poolwatch("run", "--grace", "2", cwd=tmp_path)
    assert done.returncode == 2
    assert "poolwatch run [options] -- COMMAND" in done.stderr


@pytest.mark.parametrize("command", [["python", "-S"], ["python", "-I"], ["python", "-E"], ["/bin/true"]])
def test_nobody_reported(tmp_path: Path, command: list[str]) -> None:
    """Where no Python process could be hooked, that is said, and the status is still the command's."""
    words = command if command == ["/bin/true"] else [*command, "-c", "raise SystemExit(5)"]
    done = poolwatch("run", "--", *words, cwd=tmp_path)
    assert done.returncode == (0 if command == ["/bin/true"] else 5)
    assert "no process reported" in done.stderr


def test_no_private_folder_is_left(tmp_path: Path) -> None:
    """The private folder is gone afterwards, and it was private."""
    program = "import os; print(oct(os.stat(os.environ['POOLWATCH_DIR']).st_mode), os.environ['POOLWATCH_DIR'])"
    mode, folder = poolwatch("run", "--", "python", "-c", program, cwd=tmp_path, TMPDIR=str(tmp_path)).stdout.split()
    assert mode == ("0o41733" if os.geteuid() == 0 else "0o40700")
    assert not list(tmp_path.iterdir())
    assert tmp_path in Path(folder).parents


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_s_folder_is_known_to_the_command_alone(tmp_path: Path) -> None:
    """Others may neither list the folder nor the one around it, nor remove what lies there."""
    program = """if 1:
        import os
        folder = os.environ["POOLWATCH_DIR"]
        open(f"{folder}/1-1.json", "w").close()
        os.setuid(65534)
        for attempt, path in ((os.listdir, folder), (os.listdir, f"{folder}/.."), (os.unlink, f"{folder}/1-1.json")):
            try:
                attempt(path)
            except PermissionError:
                print("refused")
    """
    done = poolwatch("run", "--", "python", "-c", program, cwd=tmp_path, TMPDIR="/tmp")
    assert done.stdout.split() == ["refused"] * 3


def test_given_folder_is_kept_and_old_files_in_it_are_not_ours(tmp_path: Path) -> None:
    """--dir keeps the snapshots; those of an earlier run do not come into the next report."""
    spool = tmp_path / "spool"
    for round_ in (1, 2):
        target = tmp_path / f"{round_}.json"
        poolwatch("run", "--dir", spool, "--report", target, "--", script(tmp_path, LEAK), cwd=tmp_path)
        assert len(reported(target)["processes"]) == 1
        assert len(list(spool.glob("*.json"))) == round_


def test_options_reach_the_command(tmp_path: Path) -> None:
    """Flags arrive as variables; report and serve are the launcher's own and do not."""
    program = "import os; print({k: v for k, v in os.environ.items() if k.startswith('POOLWATCH_')})"
    done = poolwatch(
        "run", "--grace", "2.5", "--report", "x", "--strict", "--", "python", "-c", program,
        cwd=tmp_path, POOLWATCH_STACK_DEPTH="4",
    )  # fmt: skip
    seen = eval(done.stdout)
    del seen["POOLWATCH_DIR"]
    assert seen == {
        "POOLWATCH_GRACE": "2.5",
        "POOLWATCH_STRICT": "True",
        "POOLWATCH_STACK_DEPTH": "4",
        "POOLWATCH_RUN": "1",
    }


def test_empty_search_path_adds_no_folder(tmp_path: Path) -> None:
    """A PYTHONPATH that is empty, as images and shells have it, does not put the current folder on ``sys.path``."""
    (tmp_path / "bin").mkdir()
    app = script(tmp_path / "bin", "import os, sys\nprint(os.getcwd() in map(os.path.abspath, sys.path))")
    assert poolwatch("run", "--", sys.executable, app, cwd=tmp_path, PYTHONPATH="").stdout == "False\n"


def test_the_current_folder_is_gone(tmp_path: Path) -> None:
    """A program whose folder has been removed is seen as any other."""
    source = LEAK.replace("sqlite:///shop.db", "sqlite://")
    folder = tmp_path / "release"
    folder.mkdir()
    done = poolwatch("run", "--", sys.executable, "-c", f"import os; os.rmdir(os.getcwd())\n{source}", cwd=folder)
    assert ("LEAK.PROCESS_ENDED" in done.stderr, "NOT ALL WAS SEEN" in done.stderr) == (True, False), done.stderr


def test_python_is_found_without_a_path(tmp_path: Path) -> None:
    """python means this interpreter where PATH has none."""
    done = poolwatch("run", "--", "python", "-c", "import sys; print(sys.executable)", cwd=tmp_path, PATH="/nowhere")
    assert done.stdout.strip() == sys.executable


@pytest.mark.parametrize(
    ("ending", "said"),
    [("", "status 0"), ("sys.exit(5)", "status 5"), ("os.kill(os.getpid(), 9)", "killed by SIGKILL")],
)
def test_the_report_says_how_the_command_ended(tmp_path: Path, ending: str, said: str) -> None:
    """The status of the command's own process is in the report; the text shows it where it was no success."""
    app = script(tmp_path, LEAK + SPOOLED + f"import os, sys\n{ending}\n")
    for target in ("report.json", "report.txt"):
        poolwatch("run", "--report", target, "--", "python", app, cwd=tmp_path)
    (process,) = reported(tmp_path / "report.json")["processes"]
    assert process["exit"] == said
    assert (said in (tmp_path / "report.txt").read_text()) is (said != "status 0")
