"""Install and uninstall where something is in the way: all of it, or nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.pool.base import _ConnectionFairy

import poolwatch
from poolwatch import PoolwatchError
from tests.launcher import environment, script
from tests.launcher import poolwatch as run


@pytest.fixture(autouse=True)
def _no_watch() -> Iterator[None]:
    yield
    found = poolwatch.installed()
    if found is not None:
        found.uninstall()


def test_refused_install_leaves_nothing() -> None:
    """Where the address to serve at is refused no watch is installed, and the next install is a whole one."""
    with pytest.raises(PoolwatchError, match="serve"):
        poolwatch.install(serve="0.0.0.0:9187")
    assert poolwatch.installed() is None
    watch = poolwatch.install(interval=0.02)
    assert watch.config.interval == 0.02
    held = create_engine("sqlite://").connect()
    assert sum(pool.used for pool in watch.snapshot().pools) == 1
    held.close()


@pytest.mark.parametrize("where", ["/nowhere/r.json", "/"])
def test_report_that_cannot_be_written_is_refused(where: str) -> None:
    """A report that has nowhere to go is refused at once, by the option's name, and nothing is installed."""
    with pytest.raises(PoolwatchError, match=f"option 'report': '{where}' is not allowed; use the path of a file in"):
        poolwatch.install(report=where)
    assert poolwatch.installed() is None


def test_a_port_that_is_taken_stops_no_service(caplog: pytest.LogCaptureFixture) -> None:
    """Of a service's processes only one can have the port; the others are watched all the same, and say so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        watch = poolwatch.install(serve=address)
    watch.uninstall()
    assert [record.getMessage().split(" is ")[0] for record in caplog.records if record.name == "poolwatch"] == [
        address
    ]


REPORTED = """
import os, poolwatch
from sqlalchemy import create_engine
poolwatch.install(report={report!r})
engine = create_engine("sqlite:///shop.db")
if not os.fork():
    raise SystemExit
os.wait()
engine.connect().close()
"""


def test_a_report_is_of_the_process_that_asked(tmp_path: Path) -> None:
    """Forked children write none over it, and print none."""
    app = script(tmp_path, REPORTED.format(report="-"))
    done = subprocess.run([sys.executable, app], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.stdout.count("1 process, 1 pool") == 1, done.stdout


def test_what_watches_here_is_asked_without_the_watch() -> None:
    """Snapshot, findings and uninstall are functions too: who runs under ``poolwatch run`` has no Watch at hand."""
    for ask in (poolwatch.snapshot, poolwatch.findings):
        with pytest.raises(PoolwatchError, match=r"poolwatch\.install\(\)"):
            ask()
    poolwatch.uninstall()
    poolwatch.install(interval=60)
    create_engine("sqlite://", poolclass=QueuePool).connect()
    assert [finding.kind for finding in poolwatch.findings()] == ["leak.collected"]
    assert sum(pool.checkouts_total for pool in poolwatch.snapshot().pools) == 1
    poolwatch.uninstall()
    assert poolwatch.installed() is None


def test_installed_by_several_threads_at_once() -> None:
    """Whoever comes first installs; the others wait, and have the same watch. What connects goes on."""
    engine = create_engine("sqlite://", poolclass=QueuePool)
    for _ in range(3):
        gate, made = threading.Barrier(8), []

        def install(gate: threading.Barrier = gate, made: list[poolwatch.Watch] = made) -> None:
            gate.wait()
            made.append(poolwatch.install(interval=60))
            engine.connect().close()

        threads = [threading.Thread(target=install) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(made), len(set(map(id, made)))) == (8, 1)
        engine.connect().close()
        poolwatch.uninstall()
        assert not any("poolwatch" in str(vars(_ConnectionFairy)[name]) for name in ("_checkout", "detach"))


def test_uninstall_from_an_emptied_registry() -> None:
    """A host that has emptied Prometheus's registry, as test suites do, gets no error, and every part is out."""
    watch = poolwatch.install(interval=0.02)
    collectors = [one for one in REGISTRY._collector_to_names if type(one).__module__.startswith("poolwatch")]
    assert collectors
    for collector in collectors:
        REGISTRY.unregister(collector)
    watch.uninstall()
    assert poolwatch.installed() is None
    held = create_engine("sqlite://").connect()
    assert not watch.snapshot().leases
    held.close()


class Lazy:
    """A proxy of the application's, as frameworks make them: to ask for its class is to evaluate it."""

    def __getattribute__(self, name: str) -> Any:
        """Fail: it is too early."""
        raise RuntimeError(name)


def test_install_evaluates_no_lazy_proxy() -> None:
    """The pools that exist are looked for without running code of what else exists."""
    lazy = [Lazy()]
    watch = poolwatch.install(interval=60)
    assert watch.snapshot().process.hook_errors == {}
    watch.uninstall()
    assert lazy


TAKEN_OUT = """
import gc, poolwatch
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool
watch = poolwatch.install()
watch.uninstall()
poolwatch.uninstall()
create_engine("sqlite://", poolclass=QueuePool).connect()
gc.collect()
"""


def test_a_program_does_not_take_out_its_launchers_watch(tmp_path: Path) -> None:
    """Under ``poolwatch run`` a program that installs and takes out, as our own README does, is watched to its end."""
    done = run("run", "--fail-on", "proved", "--", sys.executable, script(tmp_path, TAKEN_OUT), cwd=tmp_path)
    assert (done.returncode, "LEAK.COLLECTED" in done.stderr) == (3, True)


COPIED = """
import copy, importlib.util, sys
class Finder:
    asked = 0
    def find_spec(self, name, path, target=None):
        self.asked += name == "sqlalchemy"
sys.meta_path.insert(0, finder := Finder())
copy.deepcopy(importlib.util.find_spec("sqlalchemy"))
import sqlalchemy
print(finder.asked)
"""


def test_the_import_system_is_asked_as_ever(tmp_path: Path) -> None:
    """Specs of what is waited for can be copied, and finders of the application's are asked once for each question."""
    done = run("run", "--", sys.executable, script(tmp_path, COPIED), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
