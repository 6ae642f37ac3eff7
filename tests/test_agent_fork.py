"""One socket in two processes: said by the child that uses it, and seen from outside by its number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from poolwatch import text
from poolwatch.collecting.keeper import Keeper
from poolwatch.collecting.stuck import patience
from tests.launcher import environment, script, until
from tests.servers import Server

HEAD = """
import os, sys
import poolwatch
from sqlalchemy import create_engine, text
url = os.environ["POSTGRES_URL"].replace("postgresql", "postgresql+psycopg")
engine = create_engine(url, pool_size=2)
def use():
    with engine.connect() as connection:
        connection.execute(text("select 1"))
def install():
    poolwatch.install(interval=0.05)
"""
FORMS = {
    "watched before": ("install(); use()", "use()", "use()"),
    "watched after": ("use()", "install(); use()", "install(); use()"),
    "child begins anew": ("install(); use()", "engine.dispose(close=False); use()", "use()"),
    "child does not use it": ("install(); use()", "create_engine(url).connect().close()", "use()"),
}
"""What happens before the fork, in the child, and then in the parent."""
FORK = """
{}
read, write = os.pipe()
if os.fork() == 0:
    {}
    os.write(write, b"!")
else:
    os.read(read, 1)  # not both at once: each would wait for an answer that the other has read
    {}
os.write(1, b"ready\\n")  # in one piece: the other writes there too
sys.stdin.readline()
"""


@contextmanager
def running(folder: Path, form: str, server: Server) -> Iterator[Keeper]:
    """Run a parent and its child until the block ends."""
    path = script(folder, HEAD + FORK.format(*FORMS[form]))
    variables = environment(POOLWATCH_DIR=str(folder / "spool"), **server.variables)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", path],
        cwd=folder, env=variables, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            assert [process.stdout.readline(), process.stdout.readline()] == ["ready\n", "ready\n"]
            keeper = Keeper(str(folder / "spool"))
            until(lambda: len([one for one in keeper.report()["processes"] if "slot" in one]) == 2)
            yield keeper
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def crossings(keeper: Keeper) -> list[dict[str, Any]]:
    """Give what is said now of connections in two processes."""
    return [one for one in keeper.report()["findings"] if one["kind"] == "crossing.process"]


def test_seen_from_outside(tmp_path: Path, postgres: Server) -> None:
    """Two processes that began to be watched after their fork do not know; the number of the socket tells."""
    with running(tmp_path, "watched after", postgres) as keeper:
        until(lambda: crossings(keeper))
        (finding,) = crossings(keeper)
        assert (finding["grade"], finding["state"], finding["count"]) == ("proved", "open", 1)
        (shared,) = finding["lease"]["shared_sockets"]
        for pid in shared["pids"]:
            held = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
            assert f"socket:[{shared['inode']}]" in held
        assert f"inode {shared['inode']} in the processes" in text.render(keeper.report())
        again = Keeper(str(tmp_path / "spool")).report()
        assert [one["count"] for one in again["findings_total"] if one["kind"] == "crossing.process"] == [1]
    until(lambda: [one["state"] for one in crossings(keeper)] == ["resolved"])


def test_said_by_the_child(tmp_path: Path, postgres: Server) -> None:
    """A child that was watched before the fork says it itself; the number of the socket confirms it."""
    with running(tmp_path, "watched before", postgres) as keeper:
        until(lambda: [one for one in crossings(keeper) if "shared_sockets" in one["lease"]])
        (finding,) = crossings(keeper)
        assert finding["site"]["function"] == "use"
        assert len(finding["lease"]["shared_sockets"][0]["pids"]) == 2


@pytest.mark.parametrize("form", ["child begins anew", "child does not use it"])
def test_what_is_only_inherited_is_none(tmp_path: Path, postgres: Server, form: str) -> None:
    """The child has its parent's socket open and does not use it, as is normal."""
    with running(tmp_path, form, postgres) as keeper:
        until(lambda: len([pool for pool in keeper.report()["pools"] if pool.get("sockets")]) == 2)
        assert crossings(keeper) == []


def test_memory_of_an_older_version(tmp_path: Path) -> None:
    """What is carried over need not have findings of its own."""
    keeper = Keeper(str(tmp_path))
    keeper.report()
    memory = tmp_path / "carried.over"
    value = json.loads(memory.read_text())
    del value["standing"], value["report"]["processes"][0]["processes_ended"]
    memory.write_text(json.dumps(value))
    assert keeper.report()["processes"][0]["dropped"] == {}


@pytest.mark.parametrize(("interval", "seconds"), [(0.05, 10), (0.25, 10), (5, 60), (60, 720)])
def test_patience_follows_the_interval(interval: float, seconds: float) -> None:
    """Who looks once a minute is not stuck after ten seconds."""
    assert patience({"interval": interval}) == seconds
