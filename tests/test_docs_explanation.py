"""What the explanation says of poolwatch's hands in the host is complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from poolwatch.watcher.states import MOST_ASKED

PAGE = (Path(__file__).parents[1] / "docs" / "explanation.md").read_text("utf-8")
RECORD = """
import importlib
from poolwatch.hooks import patch, table

own = patch.patch
def recorded(guard, hook, owner, name, replacement):
    print("patched", name)
    return own(guard, hook, owner, name, replacement)
patch.patch = recorded

for _, module, _ in table.TABLE:
    importlib.import_module(module)
import poolwatch
watch = poolwatch.install()
assert {"hooked"} == set(watch.report()["processes"][0]["hooks"].values()), watch.report()["processes"][0]["hooks"]
watch.uninstall()
"""


def test_every_patched_method_is_named() -> None:
    """With every library imported, each method that a hook replaces is in the table of the page."""
    done = subprocess.run([sys.executable, "-c", RECORD], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    patched = set(re.findall(r"^patched (\w+)$", done.stdout, re.MULTILINE))
    table = PAGE.partition("## What poolwatch touches")[2].partition("\n## ")[0]
    named = {name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", table)}
    assert sorted(patched - named) == []


def test_bound_of_questions_is_the_codes() -> None:
    """How many leases a look asks the drivers about is what the page says."""
    assert f"the {MOST_ASKED} oldest other leases" in PAGE
