"""The how-to pages: the first program of each leads to the finding that it names, the second to none."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.launcher import poolwatch, reported, script
from tests.servers.graphql import graphql

PAGES = {
    path.stem: path.read_text("utf-8") for path in sorted((Path(__file__).parents[1] / "docs" / "howto").glob("*.md"))
}
USED = {
    "fastapi": "from fastapi.testclient import TestClient\nTestClient(app).get('/orders/1').raise_for_status()",
    "flask": "app.test_client().get('/orders/1')",
    "celery": "bill.apply(args=['ann'])",
}
"""What a server would do with an application: one request, one job."""
AFTERWARDS = "import time\ntime.sleep(0.6)"
QUICK = ("--grace", "0.2", "--interval", "0.1")
FINDING = {name: found[1] for name, page in PAGES.items() if (found := re.search(r"Finds:\s+`([a-z_.]+)`", page))}


def programs(name: str) -> list[str]:
    """Give the Python programs of a page."""
    return re.findall(r"^```python\n(.*?)^```$", PAGES[name], re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def graphql_url() -> Iterator[str]:
    """Give the address of a GraphQL server."""
    with graphql() as server:
        yield server.dsn


def _variables(page: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Give the variables that a page's programs read; their servers are started when first asked for."""
    found = {}
    if "DATABASE_URL" in page:
        found["DATABASE_URL"] = request.getfixturevalue("postgres").url("psycopg").replace("+psycopg", "")
    if "GRAPHQL_URL" in page:
        found["GRAPHQL_URL"] = request.getfixturevalue("graphql_url")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", FINDING)
def test_programs_do_what_the_page_says(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Of the two programs of a page, run side by side, the first is found out, the second is not."""
    for path, program in zip(("leaking.py", "mended.py"), programs(name), strict=True):
        script(tmp_path, "\n".join([program, USED.get(name, ""), AFTERWARDS]), path)
    both = "python leaking.py & first=$!; python mended.py && wait $first"
    done = poolwatch(
        "run", *QUICK, "--report", "r.json", "--", "sh", "-c", both, cwd=tmp_path, **_variables(PAGES[name], request)
    )
    assert done.returncode == 0, done.stderr
    assert [error for error in re.findall(r"gets `(\w+)`", PAGES[name]) if error not in done.stdout] == []
    found = _found(reported(tmp_path / "r.json"))
    assert FINDING[name] in found["leaking.py"], found
    assert found["mended.py"] == set(), found


def _found(report: dict[str, Any]) -> dict[str, set[str]]:
    """Give the kinds of findings of each program."""
    programs = {process["pid"]: process["argv"][0] for process in report["processes"]}
    found: dict[str, set[str]] = {program: set() for program in programs.values()}
    for finding in report["findings"]:
        found[programs[finding["owners"][0]["pid"]]].add(finding["kind"])
    return found


@pytest.mark.slow
def test_the_tests_of_the_page_pass_under_the_plugin(tmp_path: Path) -> None:
    """What the page of pytest shows is judged as it says, and a leak without a mark fails."""
    tests, block = programs("pytest")
    script(tmp_path, tests, "test_page.py")
    script(tmp_path, tests.replace('@pytest.mark.poolwatch_expect("leak.collected")\n', ""), "test_unmarked.py")
    script(tmp_path, f"def test_block():\n{textwrap.indent(block, '    ')}", "test_block.py")
    command = [sys.executable, "-m", "pytest", "-q", "--poolwatch"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "1 failed, 6 passed" in done.stdout, done.stdout + done.stderr
    assert "FAILED test_unmarked.py::test_that_must_leak" in done.stdout
