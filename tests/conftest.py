"""Fixtures that all tests share: one server of a kind for each worker, started when first asked for."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest

import poolwatch
from poolwatch.evidence import reach
from tests import servers


def pytest_configure() -> None:
    """Heed Ctrl-C also in the background of a shell, where it is ignored: what the tests start would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the stories last: some hundred short ones of a length, so that no worker is long alone at the end."""
    items.sort(key=lambda item: "stories" in item.path.parts)


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Server]:
    """Give a running PostgreSQL server."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.Server]:
    """Give a running MariaDB server."""
    with servers.mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def mssql() -> Iterator[servers.Server]:
    """Give a running fake SQL Server, to be reached with FreeTDS."""
    with servers.mssql() as server:
        yield server


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Iterator[poolwatch.Watch]:
    """Install with the module's options in WATCH, else looking only when told; nothing may have failed in the end."""
    installed = poolwatch.install(**getattr(request.module, "WATCH", {"interval": 60}))
    try:
        yield installed
        assert installed.snapshot().process.hook_errors == {}
    finally:
        installed.uninstall()


@pytest.fixture(autouse=True)
def no_engine_of_an_earlier_test(request: pytest.FixtureRequest) -> None:
    """Collect what earlier tests left, before a test that counts the pools of this process."""
    if "watch" in request.fixturenames:
        gc.collect()


@pytest.fixture
def patient_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no walk end early on a busy machine, or in a process that has a thousand tests behind it."""
    monkeypatch.setattr(reach, "_MAX_SECONDS", 30.0)
    monkeypatch.setattr(reach, "LIVING", (10_000_000, 12))
    monkeypatch.setattr(reach, "_MODULES", (10_000_000, 12))


@pytest.fixture(scope="module")
def small_heap() -> Iterator[None]:
    """Leave what a thousand tests before have made out of each collection: some tests collect at every step."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
