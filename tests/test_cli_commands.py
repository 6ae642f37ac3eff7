"""report, top, doctor, the served report and the table of commands."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import jsonschema
import pytest

from poolwatch import cli
from poolwatch.cli import doctor, top
from poolwatch.config import HOOKS
from poolwatch.report import schema
from tests.launcher import HOLD, LEAK, WITHOUT_TEMPORARY_FILES, environment, poolwatch, reported, script, start
from tests.reports import finding, report


def test_help_names_every_command(tmp_path: Path) -> None:
    """--help has the commands and examples, --version a version."""
    done = poolwatch("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("run", "report", "top", "doctor", "demo", "examples:"):
        assert word in done.stdout
    assert re.fullmatch(r"poolwatch \S+\n", poolwatch("--version", cwd=tmp_path).stdout)


def test_unknown_command(tmp_path: Path) -> None:
    """An unknown command is refused with those there are."""
    done = poolwatch("leak", cwd=tmp_path)
    assert done.returncode == 2
    assert "'leak'" in done.stderr
    assert "doctor" in done.stderr


def test_report_reads_what_run_wrote(tmp_path: Path) -> None:
    """A saved report follows the schema and is shown as text, or as the same JSON."""
    target = tmp_path / "r.json"
    poolwatch("run", "--report", target, "--", script(tmp_path, LEAK), cwd=tmp_path)
    jsonschema.Draft202012Validator(schema.report_schema()).validate(reported(target))
    assert "== LEAK.PROCESS_ENDED -- proved" in poolwatch("report", target, cwd=tmp_path).stdout
    again = poolwatch("report", target, "--format", "json", cwd=tmp_path).stdout
    assert json.loads(again) == reported(target)
    assert "LEAK." in poolwatch("report", "-", cwd=tmp_path, stdin=target.read_text()).stdout


@pytest.mark.parametrize("content", ["", "{}", '{"version": 9}', "[1, 2]"])
def test_report_refuses_what_is_none(tmp_path: Path, content: str) -> None:
    """A file that is no report gives 2 and a sentence with its name."""
    (tmp_path / "x.json").write_text(content)
    done = poolwatch("report", "x.json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("poolwatch report: x.json: not ")
    assert poolwatch("report", "none.json", cwd=tmp_path).stderr == (
        "poolwatch report: none.json: No such file or directory\n"
    )


@pytest.mark.parametrize("words", [["--port", "99999"], ["--seconds", "nan"], ["--stay", "x"]])
def test_demo_refuses_what_is_not_allowed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A number that the demo cannot use is named with its flag and what is allowed."""
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["demo", *words])
    assert f"argument {words[0]}: {words[1]!r} is not allowed; use a " in capsys.readouterr().err


def test_report_to_an_ascii_terminal(tmp_path: Path) -> None:
    """A name that the output cannot show is escaped, not an error."""
    (tmp_path / "x.json").write_text(json.dumps(report(finding(summary="größer"))))
    done = poolwatch("report", "x.json", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert r"gr\xf6\xdfer" in done.stdout


def test_top_shows_what_runs_now(tmp_path: Path) -> None:
    """top finds running commands by itself, by --dir, and prints once where there is no terminal."""
    with start("run", "--dir", tmp_path / "spool", "--", script(tmp_path, HOLD), cwd=tmp_path) as launcher:
        assert launcher.stdout is not None
        launcher.stdout.readline()
        done = poolwatch("top", "--dir", tmp_path / "spool", cwd=tmp_path)
        launcher.send_signal(signal.SIGTERM)
        launcher.communicate(timeout=30)
    assert done.returncode == 0
    assert "QueuePool" in done.stdout
    gone = poolwatch("top", "--dir", tmp_path / "spool", cwd=tmp_path)
    assert "0 processes" in gone.stdout
    assert poolwatch("top", "--dir", "none", cwd=tmp_path).returncode == 2
    assert poolwatch("top", "ftp://x", cwd=tmp_path).returncode == 2


def test_served_while_it_runs(tmp_path: Path) -> None:
    """--serve answers with the merged report and metrics; top reads it; the port is said."""
    program = script(tmp_path, HOLD)
    with start("run", "--serve", "127.0.0.1:0", "--", program, cwd=tmp_path) as launcher:
        assert launcher.stdout is not None
        assert launcher.stderr is not None
        url = launcher.stderr.readline().split()[-1]
        launcher.stdout.readline()
        with urllib.request.urlopen(url + "report.json", timeout=30) as answer:
            served = json.load(answer)
        with urllib.request.urlopen(url + "metrics", timeout=30) as answer:
            metrics = answer.read().decode()
        table = poolwatch("top", url, cwd=tmp_path).stdout
        launcher.send_signal(signal.SIGTERM)
        launcher.communicate(timeout=30)
    assert launcher.returncode == -signal.SIGTERM
    assert schema.problem(served) is None
    assert served["pools"][0]["used"] == 1
    assert "db_client_connection_count" in metrics
    assert "QueuePool" in table


@pytest.mark.parametrize("words", [["run", "--", "true"], ["top"], ["doctor"]], ids=lambda words: words[0])
def test_no_temporary_files(tmp_path: Path, words: list[str]) -> None:
    """Where no temporary file can be written, a command that needs one says so; with POOLWATCH_DIR it works."""
    command = [sys.executable, "-c", WITHOUT_TEMPORARY_FILES, *words]
    refused = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "no folder for temporary files can be written; set POOLWATCH_DIR" in refused.stderr + refused.stdout
    assert refused.returncode == (1 if words == ["doctor"] else 2)
    told = environment(POOLWATCH_DIR=str(tmp_path))
    done = subprocess.run(command, env=told, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_doctor(tmp_path: Path) -> None:
    """doctor says what is hooked in which version and that injection works; 1 where it does not."""
    done = poolwatch("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    hooks = dict(re.findall(r"^hook +(\w+): (.+)$", done.stdout, re.MULTILINE))
    assert hooks.keys() == set(HOOKS), "what doctor says is what `hooks` takes"
    own = {name for name, state in hooks.items() if state == "hooked"}
    assert own == {"executors", "threads"}, "all is installed here, so all is hooked"
    assert all(re.fullmatch(r"hooked \d\S+", state) for name, state in hooks.items() if name not in own)
    assert "injection   works" in done.stdout
    broken = script(tmp_path, '#!/bin/sh\nexec python3 -I "$@"\n', "isolated")
    broken.chmod(0o755)
    done = poolwatch("doctor", "--python", broken, cwd=tmp_path)
    assert done.returncode == 1
    assert "did not read PYTHONPATH" in done.stdout


def test_doctor_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed, what cannot be imported and what is too old are told apart."""
    for name, source in (("gql", "raise RuntimeError('no')"), ("asyncpg", "raise ModuleNotFoundError(name='asyncpg')")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(source)
    old = tmp_path / "sqlalchemy-1.4.54.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: SQLAlchemy\nVersion: 1.4.54\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    states, trouble = doctor._trial(sys.executable)
    assert trouble == ""
    assert states["gql"] == "cannot be imported: RuntimeError: no"
    assert states["asyncpg"] == "not installed"
    assert states["sqlalchemy"] == "1.4.54 is too old, 2.0 to 2.1 are supported"


def test_top_fits_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal of 80 columns no line is longer, so that nothing wraps and the head stays in sight."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    (tmp_path / "ended").touch()
    with open(tmp_path / "ended") as ended:
        monkeypatch.setattr(sys, "stdin", ended)
        top._live(lambda: report(*[finding(pool=f"pool-{n}") for n in range(30)]))
    lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", capsys.readouterr().out).splitlines()
    assert len(lines) == 23
    assert max(map(len, lines)) == 80
