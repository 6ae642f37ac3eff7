"""The catalogue of findings is in step with detectors and alerts, is shown whole, and its examples do what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from poolwatch import cli
from poolwatch.book import _RETURNABLE
from poolwatch.config import RULES
from poolwatch.detectors.hints import HINTS
from poolwatch.kinds import CATALOGUE, PREAMBLE, Kind
from poolwatch.model import KINDS
from poolwatch.model.leases import IncidentKind

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
FINDERS = [ROOT / "agent" / "poolwatch" / name for name in ("detectors", "collecting")]
FAMILIES = ("leak", "crossing", "starvation", "hold", "drift", "orphan", "capacity")
_GROUPS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules" / "poolwatch.rules.yml").read_text())["groups"]
ALERTS = {rule["alert"]: rule["expr"] for group in _GROUPS for rule in group["rules"] if "alert" in rule}
BY_THE_AGENT = ("leak.process_ended", "capacity.oversubscribed")
"""Kinds whose end the agent sees."""
RUN = [(kind, leaks) for kind in CATALOGUE.values() if kind.example for leaks in (True, False)]
WATCHED = """
import sys, time, poolwatch
from sqlalchemy import create_engine
watch = poolwatch.install(interval=0.01)
create_engine("sqlite://").connect()
while not watch.findings():
    time.sleep(0.01)
print([name for name in sys.modules if name.startswith("poolwatch.kinds")])
"""


def known_kinds() -> set[str]:
    """Give every kind that a detector can put on a finding."""
    written = re.compile(rf'"((?:{"|".join(FAMILIES)})\.[a-z_]+)"')
    sources = [path for folder in FINDERS for path in folder.glob("*.py") if path.name != "hints.py"]
    found = {kind for path in sources for kind in written.findall(path.read_text())}
    return found | {f"crossing.{kind}" for kind in get_args(IncidentKind)}


def test_every_kind_is_explained_and_none_else() -> None:
    """What detectors can produce, what has a rank, a hint and an explanation: these are the same kinds."""
    assert sorted(known_kinds()) == sorted(CATALOGUE) == sorted(KINDS) == sorted(HINTS)


def test_options_exist() -> None:
    """Each option that is named can be given."""
    assert [kind.name for kind in CATALOGUE.values() if not set(kind.options) <= RULES.keys()] == []


def test_the_end_of_a_finding_is_told() -> None:
    """What is resolved as soon as it is no longer so says when that is; the rest waits until it is not seen again."""
    told = [kind.name for kind in CATALOGUE.values() if "resolve_after" not in kind.resolved]
    assert sorted(told) == sorted(name for name in KINDS if name.startswith(_RETURNABLE) or name in BY_THE_AGENT)


def _matches(kind: str, grade: str, expression: str) -> bool:
    """Tell whether a rule looks for findings of this kind and grade."""
    looks = {"=": str.__eq__, "!=": str.__ne__, "=~": lambda value, pattern: re.fullmatch(pattern, value) is not None}
    terms = re.findall(r'\b(kind|grade)(=~|!=|=)"(.+?)"', expression)
    values = {"kind": kind, "grade": grade}
    return bool(terms) and all(looks[how](values[label], wanted) for label, how, wanted in terms)


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)
def test_alerts_are_those_of_the_rules(kind: Kind) -> None:
    """Every alert that looks for the kind is named; others that are named look at pools, not at kinds."""
    looking = {name for name, expr in ALERTS.items() if any(_matches(kind.name, grade, expr) for grade in kind.grades)}
    assert looking <= set(kind.alerts) <= ALERTS.keys()
    assert [name for name in kind.alerts if name not in looking and "kind=" in ALERTS[name]] == []


def test_readme_lists_the_same_kinds() -> None:
    """The table of README.md says of each kind what the code says, with a link to its section."""
    rows = re.findall(r"^\| \[`([a-z_.]+)`\]\(docs/findings\.md#(\w+)\) \| (.+?) \| (.+?) \|$", README, re.MULTILINE)
    expected = [(k.name, k.name.replace(".", ""), ", ".join(k.grades), k.short) for k in CATALOGUE.values()]
    assert rows == expected


def test_explain_lists_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name, each kind is listed with its grades and what happened."""
    assert cli.main(["explain"]) == 0
    listed = capsys.readouterr().out
    for kind in CATALOGUE.values():
        assert re.search(
            rf"^{re.escape(kind.name)} +{', '.join(kind.grades)}\n    {re.escape(kind.short)}$", listed, re.MULTILINE
        )


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)
def test_explain_says_all_of_a_kind(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    """Meaning, causes, every cure and the runbooks are on the terminal, in lines that it can show."""
    assert cli.main(["explain", kind.name.upper()]) == 0
    shown = capsys.readouterr().out
    flat = " ".join(shown.split())
    assert shown.startswith(f"{kind.name} -- {', '.join(kind.grades)}\n")
    for text in (
        kind.meaning,
        *(f"{grade} {when}" for grade, when in kind.grades.items() if when),
        *kind.causes,
        *(cure for _, cure in kind.cures),
        *kind.options,
        *kind.alerts,
    ):
        assert " ".join(text.split()) in flat
    assert max(map(len, shown.partition("\nThis leads to it")[0].splitlines())) <= 100


def test_explain_refuses_what_is_no_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """A kind that does not exist is named, with those there are."""
    assert cli.main(["explain", "leak.colected"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("poolwatch explain: 'leak.colected' is no kind of finding; use one of leak.collected, ")
    assert all(name in error for name in CATALOGUE)


def test_a_watched_process_does_not_load_the_texts() -> None:
    """Explanations cost the program nothing that is watched."""
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "leaks"), RUN, ids=lambda value: getattr(value, "name", str(value)))
def test_examples_do_what_the_page_says(kind: Kind, leaks: bool, tmp_path: Path) -> None:
    """The first example of a kind leads to its finding, with a grade that it may have, the second to none."""
    assert kind.example is not None
    program = kind.example.leaking if leaks else kind.example.mended
    found = _found(PREAMBLE + program, kind.example.flags.split(), tmp_path)
    assert (found.get(kind.name) in kind.grades) if leaks else not found


def test_the_first_program_of_the_readme_leaks(tmp_path: Path) -> None:
    """Whoever follows README.md sees the finding that it shows."""
    shown = set(re.findall(r"^== ([A-Z_.]+)", README, re.MULTILINE))
    program = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[0]
    assert {kind.upper() for kind in _found(program, [], tmp_path)} == shown


def _found(program: str, options: list[str], folder: Path) -> dict[str, str]:
    """Run a program and give the kinds that were found, each with its grade."""
    (folder / "app.py").write_text(program)
    command = [sys.executable, "-m", "poolwatch", "run", *options, "--report", "report.json", "--", "app.py"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POOLWATCH_")}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    findings = json.loads((folder / "report.json").read_text())["findings"]
    return {finding["kind"]: finding["grade"] for finding in findings}
