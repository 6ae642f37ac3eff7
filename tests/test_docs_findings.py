"""The reference of findings is in step with the detectors, and its examples do what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolwatch.detectors import crossings

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "findings.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
FINDERS = [ROOT / "agent" / "poolwatch" / name for name in ("detectors", "collecting")]
FAMILIES = ("leak", "crossing", "starvation", "hold", "drift", "orphan", "capacity")


@dataclass(frozen=True, slots=True)
class Section:
    """What the page says of one kind."""

    kind: str
    text: str

    @property
    def examples(self) -> list[str]:
        """Give the programs: what leads to the finding, and what does not."""
        return _programs(self.text)

    @property
    def options(self) -> list[str]:
        """Give the flags that the examples are run with."""
        found = re.search(r"^Run with `(.+?)`", self.text, re.MULTILINE)
        return found[1].split() if found else []


def _programs(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _sections() -> list[Section]:
    parts = re.split(r"^### `(.+?)`$", PAGE, flags=re.MULTILINE)
    return [Section(kind, text) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]


SECTIONS = _sections()
RUN = [(section, leaks) for section in SECTIONS if section.examples for leaks in (True, False)]


def known_kinds() -> set[str]:
    """Give every kind that a detector can put on a finding."""
    written = re.compile(rf'"((?:{"|".join(FAMILIES)})\.[a-z_]+)"')
    found = {kind for folder in FINDERS for path in folder.glob("*.py") for kind in written.findall(path.read_text())}
    return found | {f"crossing.{kind}" for kind in crossings._HINTS}


def test_every_kind_is_documented_and_none_else() -> None:
    """The page has one section for each kind that the detectors can produce."""
    assert sorted(section.kind for section in SECTIONS) == sorted(known_kinds())


def test_every_kind_has_a_grade() -> None:
    """Each section begins with the grade."""
    wrong = [s.kind for s in SECTIONS if not re.match(r"\s*Grade: (proved|probable|suspected)", s.text)]
    assert wrong == []


def test_readme_lists_the_same_kinds() -> None:
    """The table of README.md has the kinds of the reference, each with a link to its section."""
    listed = re.findall(r"^\| \[`([a-z_.]+)`\]\(docs/findings\.md#(\w+)\)", README, re.MULTILINE)
    assert sorted(kind for kind, _ in listed) == sorted(section.kind for section in SECTIONS)
    assert [kind for kind, anchor in listed if anchor != kind.replace(".", "")] == []


@pytest.mark.slow
@pytest.mark.parametrize(("section", "leaks"), RUN, ids=lambda value: getattr(value, "kind", str(value)))
def test_examples_do_what_the_page_says(section: Section, leaks: bool, tmp_path: Path) -> None:
    """The first example of a kind leads to its finding, the second to none."""
    preamble = _programs(PAGE.partition("## Leaks")[0])[0]
    kinds = _found(preamble + section.examples[0 if leaks else 1], section.options, tmp_path)
    assert (section.kind in kinds) if leaks else not kinds


def test_the_first_program_of_the_readme_leaks(tmp_path: Path) -> None:
    """Whoever follows README.md sees the finding that it shows."""
    shown = set(re.findall(r"^== ([A-Z_.]+)", README, re.MULTILINE))
    assert {kind.upper() for kind in _found(_programs(README)[0], [], tmp_path)} == shown


def _found(program: str, options: list[str], folder: Path) -> set[str]:
    (folder / "app.py").write_text(program)
    command = [sys.executable, "-m", "poolwatch", "run", *options, "--report", "report.json", "--", "app.py"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POOLWATCH_")}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {finding["kind"] for finding in json.loads((folder / "report.json").read_text())["findings"]}
