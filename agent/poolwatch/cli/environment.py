"""What the launcher gives a command: the words to run and the variables that hook its Python processes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import poolwatch
from poolwatch.config import ENV_PREFIX, RULES, Config, to_environment
from poolwatch.report.spool import DIRECTORY_VARIABLE, RUN_VARIABLE

BOOT = str(Path(poolwatch.__file__).parent / "boot")


def words(command: Sequence[str]) -> list[str]:
    """Complete a command: ``-m module`` and ``app.py`` run in this Python, and so does ``python`` where none is."""
    first = command[0]
    if not first:
        raise FileNotFoundError("an empty word")
    if first.startswith("-") or (first.endswith(".py") and not _runs_itself(first)):
        return [sys.executable, *command]
    if first in ("python", "python3") and shutil.which(first) is None:
        return [sys.executable, *command[1:]]
    return list(command)


def _runs_itself(script: str) -> bool:
    """Tell whether a script is named by path, may be executed and says by which interpreter."""
    if os.sep not in script or not os.access(script, os.X_OK) or not os.path.isfile(script):
        return False
    with open(script, "rb") as file:
        return file.read(2) == b"#!"


def variables(config: Config, directory: str) -> dict[str, str]:
    """Give the environment of the command: ours, the options, the spool's folder, and the boot folder."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OPTIONS}
    # an empty variable names no folder, an empty entry beside others the current one
    before = [entry for entry in (inherited.get("PYTHONPATH") or BOOT).split(os.pathsep) if entry != BOOT]
    return {
        **inherited,
        **to_environment(replace(config, report=None, serve=None)),
        "PYTHONPATH": os.pathsep.join([BOOT, *before]),
        DIRECTORY_VARIABLE: directory,
        RUN_VARIABLE: "1",
    }


_OPTIONS = {ENV_PREFIX + name.upper() for name in RULES}
