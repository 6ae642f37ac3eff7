"""The tutorial, word by word: its commands run in one shell, in order, and say what the page says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.launcher import environment
from tests.servers.base import free_port

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
DONE_ALREADY = ("python3 -m venv", "pip install")
"""Beginnings of commands that were carried out when the tests' environment was made."""
PORTS = ("8000", "9090", "9187")
"""Ports of the page, which may be taken here: others stand for them."""
MARK = "-- the next command --"
AS_A_NEWCOMER = {"PYTEST_ADDOPTS": "-p no:timeout"}
"""Without the plugins that only the project's own tests need: their settings must not reach the example."""
PATIENCE = 240
"""Seconds that all commands may take; on a quiet machine they need some fifteen."""


def blocks() -> list[tuple[str, list[str]]]:
    """Give each command of the page with the lines that it is said to write."""
    commands: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
    return [(command, said) for command, said in commands if not command.startswith(DONE_ALREADY)]


def _clone(folder: Path, ports: dict[str, str]) -> None:
    """Copy what the tutorial uses of the repository, with other ports, and let Prometheus scrape each second."""
    for name in ("examples", "deploy"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    configuration = folder / "deploy" / "prometheus" / "prometheus.yml"
    configuration.write_text(_with(ports, configuration.read_text()).replace("15s", "1s"))


def _with(ports: dict[str, str], text: str) -> str:
    return re.sub("|".join(ports), lambda found: ports[found[0]], text)


def _typed(command: str, ports: dict[str, str]) -> str:
    """Give a command as it is run here; Prometheus listens at its own port unless it is told otherwise."""
    address = f"prometheus --web.listen-address=127.0.0.1:{ports['9090']} "
    return re.sub("^prometheus ", address, _with(ports, command))


def _run(script: str, folder: Path) -> str:
    """Run a script to its end and give what it wrote; nothing that it has started stays behind."""
    log = folder / "written"
    with log.open("wb") as written:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, env=environment(**AS_A_NEWCOMER), stdin=subprocess.DEVNULL,
            stdout=written, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        shell.wait(PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    return log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE + 30)
def test_the_tutorial_word_by_word(tmp_path: Path) -> None:
    """Whoever follows the page sees what it shows, from the leak to the mended service."""
    ports = {port: str(free_port()) for port in PORTS}
    _clone(tmp_path, ports)
    commands = [_typed(command, ports) for command, _ in blocks()]
    written = _run(f"\necho '{MARK}'\n".join(commands), tmp_path)
    assert written.count(MARK) == len(commands) - 1, written
    for command, said in blocks():
        missing = [line for line in said if not _is_in(_with(ports, line), written)]
        assert missing == [], f"{command}\n{written}"


def _is_in(line: str, written: str) -> bool:
    """Tell whether a line was written; ``...`` stands for whatever there is."""
    pattern = re.escape(line).replace(re.escape("..."), ".*")
    return re.search(f"^{pattern}$", written, re.MULTILINE) is not None
