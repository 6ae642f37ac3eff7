"""Every Python child is hooked, however it is started; and the host does not notice."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.launcher import CLEAN, LEAK, SPOOLED, kinds, poolwatch, reported, script

CHILDREN = {
    "subprocess": "import subprocess, sys; subprocess.run([sys.executable, 'leak.py'], check=True)",
    "shell": "import os, sys; os.system(sys.executable + ' leak.py')",
    "spawn": """
        import multiprocessing, leak_later
        if __name__ == "__main__":
            child = multiprocessing.get_context("spawn").Process(target=leak_later.leak)
            child.start(); child.join()
    """,
    "forkserver": """
        import multiprocessing, leak_later
        if __name__ == "__main__":
            child = multiprocessing.get_context("forkserver").Process(target=leak_later.leak)
            child.start(); child.join()
    """,
    "fork": """
        import multiprocessing, leak_later
        child = multiprocessing.get_context("fork").Process(target=leak_later.leak)
        child.start(); child.join()
    """,
    "os.fork": """
        import os, sys, leak_later
        pid = os.fork()
        if pid == 0:
            leak_later.leak()
            sys.exit(0)
        os.waitpid(pid, 0)
    """,
    "exec": "import os, sys; os.execv(sys.executable, [sys.executable, 'leak.py'])",
}


@pytest.mark.parametrize("how", CHILDREN)
def test_child_is_reported(tmp_path: Path, how: str) -> None:
    """A leak in a child is in the report with the child's pid."""
    script(tmp_path, LEAK, "leak.py")
    script(tmp_path, SPOOLED, "spooled.py")
    script(tmp_path, "def leak():\n    import leak\n    import spooled\n", "leak_later.py")
    target = tmp_path / "r.json"
    done = poolwatch("run", "--report", target, "--", script(tmp_path, CHILDREN[how]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = reported(target)
    assert "leak.process_ended" in kinds(report)
    assert len({process["pid"] for process in report["processes"]}) >= (1 if how == "exec" else 2)


def test_module(tmp_path: Path) -> None:
    """-m module runs in this Python; sys.argv and __name__ are as always."""
    script(tmp_path, LEAK + "import sys\nprint(__name__, sys.argv[1:])\n", "worker.py")
    done = poolwatch("run", "--", "-m", "worker", "-v", cwd=tmp_path)
    assert done.stdout == "__main__ ['-v']\n"
    assert "LEAK.PROCESS_ENDED" in done.stderr


def test_console_script(tmp_path: Path) -> None:
    """A console script (pytest) runs with the hooks in it, and its status is kept."""
    script(tmp_path, LEAK + "def test_it():\n    assert KEPT\ndef test_that():\n    assert not KEPT\n", "test_x.py")
    target = tmp_path / "r.json"
    tool = Path(sys.executable).parent / "pytest"
    done = poolwatch("run", "--report", target, "--", tool, "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert kinds(reported(target)) == ["leak.process_ended"]


def test_hosts_own_sitecustomize_still_runs(tmp_path: Path) -> None:
    """The sitecustomize that ours hides runs, under its own name, and is what sys.modules has."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("MARK = 'host'\nprint('host sitecustomize', __name__)\n")
    program = script(tmp_path, "import sitecustomize\nprint(sitecustomize.MARK, sitecustomize.__file__)\n" + LEAK)
    agent = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join([str(site), str(Path(__file__).parent.parent / "agent"), agent])
    done = poolwatch("run", "--report", tmp_path / "r.json", "--", program, cwd=tmp_path, PYTHONPATH=path)
    assert "host sitecustomize sitecustomize\nhost " + str(site) in done.stdout
    assert kinds(reported(tmp_path / "r.json")) == ["leak.process_ended"]


def test_hosts_broken_sitecustomize_is_as_broken_as_before(tmp_path: Path) -> None:
    """An error in the host's sitecustomize is told as Python tells it, and the process is hooked all the same."""
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('mine')\n")
    program = script(tmp_path, LEAK)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent / "agent")])
    alone = subprocess.run(
        [sys.executable, program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    done = poolwatch("run", "--report", tmp_path / "r.json", "--", program, cwd=tmp_path, PYTHONPATH=path)
    assert "RuntimeError: mine" in alone.stderr
    assert alone.stderr.strip() in done.stderr
    assert kinds(reported(tmp_path / "r.json")) == ["leak.process_ended"]


def test_search_path_is_the_one_without_poolwatch(tmp_path: Path) -> None:
    """sys.path has no folder of ours: nothing becomes importable, or unimportable, under run."""
    program = script(tmp_path, "import sys; print(sys.path)")
    path = str(Path(__file__).parent.parent / "agent")
    alone = subprocess.run(
        [sys.executable, program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert poolwatch("run", "--", program, cwd=tmp_path).stdout == alone.stdout


def test_environment_without_poolwatch(tmp_path: Path) -> None:
    """A Python of another virtualenv, which has no poolwatch, is hooked, and sees nothing else of ours."""
    venv.create(tmp_path / "other", symlinks=True)
    python = tmp_path / "other" / "bin" / "python"
    program = script(tmp_path, "import importlib.util as u; print(u.find_spec('prometheus_client'))")
    done = poolwatch("run", "--report", tmp_path / "r.json", "--", python, program, cwd=tmp_path)
    assert done.stdout == "None\n", done.stderr
    assert len(reported(tmp_path / "r.json")["processes"]) == 1


def test_unhookable_process_leaves_a_note(tmp_path: Path) -> None:
    """A process in which install fails runs as always, and the launcher says which one and why."""
    program = script(tmp_path, "print('runs')")
    done = poolwatch("run", "--", "env", "POOLWATCH_GRACE=bad", "python", program, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert "could not be hooked: ConfigError" in done.stderr


def test_clean_children_have_no_finding(tmp_path: Path) -> None:
    """Four clean children: five processes and not one finding."""
    script(tmp_path, CLEAN, "leak.py")
    program = "import subprocess, sys\nfor _ in range(4): subprocess.run([sys.executable, 'leak.py'], check=True)"
    poolwatch("run", "--report", tmp_path / "r.json", "--", script(tmp_path, program), cwd=tmp_path)
    report = reported(tmp_path / "r.json")
    assert (len(report["processes"]), report["findings"]) == (5, [])


def test_run_inside_run(tmp_path: Path) -> None:
    """A launcher under a launcher works, and passes status and streams on."""
    inner = [sys.executable, "-m", "poolwatch", "run", "--", sys.executable, "-c", "print('deep'); raise SystemExit(9)"]
    done = poolwatch("run", "--", *inner, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (9, "deep\n")
