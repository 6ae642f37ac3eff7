"""The pytest plugin, on suites of its own: who leaks fails, with the finding's text, and nobody else does."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.launcher import environment

HEAD = """
import asyncio
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool
engine = create_engine("sqlite:///shop.db", poolclass=QueuePool, connect_args={"check_same_thread": False})
KEPT = []
"""


def suite(folder: Path, tests: str, *words: str, how: tuple[str, ...] = ("--poolwatch",), **variables: str) -> str:
    """Run pytest on a suite; gives its output."""
    (folder / "test_shop.py").write_text(textwrap.dedent(HEAD) + textwrap.dedent(tests))
    kept = {name: value for name, value in environment().items() if not name.startswith("PYTEST_")} | variables
    # pytest-asyncio warns where it is not configured, and the suites' last lines would tell of that
    settings = ["-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
    command = [sys.executable, "-m", "pytest", *settings, *how, *words]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=100)
    return done.stdout + done.stderr


def outcome(text: str) -> str:
    """Give pytest's last line without the time."""
    return re.sub(r" in [\d.]+s.*", "", text.strip().splitlines()[-1]).strip("= ")


def test_leaks_fail(tmp_path: Path) -> None:
    """A test that keeps a connection and one that drops one fail; the ones around them pass."""
    text = suite(
        tmp_path,
        """
        def test_before():
            with engine.connect() as connection:
                connection.execute(text("select 1"))
        @pytest.mark.parametrize("time", ["once", "again"])
        def test_keeps(time):
            KEPT.append(engine.connect())
        def test_between():
            with engine.connect():
                pass
        def test_drops():
            engine.connect()
        def test_after():
            with engine.connect():
                pass
        """,
    )
    assert outcome(text) == "3 failed, 3 passed"
    assert "LEAK.SCOPE_ENDED -- proved" in text
    assert "LEAK.COLLECTED -- proved" in text
    assert re.findall(r"FAILED test_shop.py::(\w+)", text) == ["test_keeps", "test_keeps", "test_drops"]


def test_wider_fixtures_are_not_blamed(tmp_path: Path) -> None:
    """Connections of a session's, module's or test's own fixture are fine; a fixture that forgets its own is not."""
    text = suite(
        tmp_path,
        """
        @pytest.fixture(scope="session", autouse=True)
        def for_ever():
            connection = engine.connect()
            yield
            connection.close()
        @pytest.fixture(scope="module")
        def connection():
            with engine.connect() as connection:
                yield connection
        @pytest.fixture
        def own():
            with engine.connect() as connection:
                yield connection
        @pytest.fixture
        def forgetful():
            return KEPT.append(engine.connect())
        def test_module(connection):
            connection.execute(text("select 1"))
        def test_again(connection, own):
            own.execute(text("select 1"))
        def test_forgets(forgetful):
            pass
        """,
    )
    assert outcome(text) == "1 failed, 2 passed"
    assert "FAILED test_shop.py::test_forgets" in text


def test_markers(tmp_path: Path) -> None:
    """An expected finding must happen, and only there it may; what is off is not watched."""
    text = suite(
        tmp_path,
        """
        @pytest.mark.poolwatch_expect("leak.collected")
        def test_expected():
            engine.connect()
        @pytest.mark.poolwatch_expect("leak.collected")
        def test_did_not_happen():
            pass
        @pytest.mark.poolwatch_off
        def test_off():
            KEPT.append(engine.connect())
        def test_last():
            pass
        """,
        "--strict-markers",
    )
    assert outcome(text) == "1 failed, 3 passed"
    assert "expected leak.collected, which did not happen" in text


def test_a_failure_of_its_own_comes_first(tmp_path: Path) -> None:
    """A test that fails keeps its own text; what it left out is not blamed on the next."""
    text = suite(
        tmp_path,
        """
        def test_fails():
            connection = engine.connect()
            assert connection is None
        def test_next():
            pass
        """,
    )
    assert outcome(text) == "1 failed, 1 passed"
    assert "assert connection is None" in text
    assert "LEAK" not in text


def test_off_by_default(tmp_path: Path) -> None:
    """Without the switch nothing is watched, and of poolwatch there is what pytest needs to know the switch."""
    text = suite(
        tmp_path,
        """
        import sys
        def test_keeps():
            engine.connect()
            ours = {name for name in sys.modules if name.startswith("poolwatch")}
            assert ours == {"poolwatch", "poolwatch.pytest_plugin"}
        """,
        how=(),
    )
    assert outcome(text) == "1 passed"


@pytest.mark.parametrize(
    ("how", "alone"),
    [
        (("-o", "poolwatch=true"), ""),
        (("-p", "poolwatch"), ""),
        (("-p", "poolwatch"), "1"),
        (("-p", "poolwatch.pytest_plugin"), ""),
    ],
)
def test_other_ways_to_ask_for_it(tmp_path: Path, how: tuple[str, str], alone: str) -> None:
    """By a setting, and by name, also where pytest loads no plugins by itself."""
    tests = "def test_drops():\n    engine.connect()\n"
    text = suite(tmp_path, tests, how=how, PYTEST_DISABLE_PLUGIN_AUTOLOAD=alone)
    assert outcome(text).startswith("1 failed")
    assert "LEAK.COLLECTED" in text


def test_refused(tmp_path: Path) -> None:
    """A grade that is none and a pytest that is too old are named, before any test runs."""
    text = suite(tmp_path, "", "-o", "poolwatch_grade=bad")
    assert "poolwatch_grade: 'bad' is not allowed; use one of: proved, probable, suspected" in text
    (tmp_path / "conftest.py").write_text("import pytest\npytest.__version__ = '7.4.4'\n")
    assert "poolwatch needs pytest 8 or newer; this is 7.4.4" in suite(tmp_path, "")


def test_xdist_and_report(tmp_path: Path) -> None:
    """It works in xdist's workers, and the summary adds up what they saw."""
    text = suite(
        tmp_path,
        """
        @pytest.mark.parametrize("number", range(6))
        def test_orders(number):
            with engine.connect() as connection:
                connection.execute(text("select 1"))
            if number == 3:
                KEPT.append(engine.connect())
        """,
        "-n2",
        "--poolwatch-report",
    )
    assert outcome(text) == "1 failed, 5 passed"
    assert re.search(r"6 leases  .*test_orders", text)


def test_async_tests(tmp_path: Path) -> None:
    """Tests run by anyio's plugin and by pytest-asyncio are judged too."""
    text = suite(
        tmp_path,
        """
        @pytest.mark.anyio
        async def test_keeps():
            KEPT.append(engine.connect())
        @pytest.mark.anyio
        async def test_clean():
            with engine.connect():
                await asyncio.sleep(0)
        @pytest.fixture
        def anyio_backend():
            return "asyncio"
        """,
    )
    assert outcome(text) == "1 failed, 1 passed"


def test_pytest_asyncio(tmp_path: Path) -> None:
    """So are those of pytest-asyncio, on loops of their own and on one for the session."""
    text = suite(
        tmp_path,
        """
        @pytest.mark.asyncio
        async def test_keeps():
            KEPT.append(engine.connect())
        @pytest.mark.asyncio(loop_scope="session")
        async def test_keeps_on_the_sessions_loop():
            KEPT.append(engine.connect())
        @pytest.mark.asyncio(loop_scope="session")
        async def test_clean():
            with engine.connect():
                await asyncio.sleep(0)
        """,
    )
    assert outcome(text) == "2 failed, 1 passed"


def test_crossings_fail(tmp_path: Path) -> None:
    """A test whose threads share a connection at one time fails."""
    text = suite(
        tmp_path,
        """
        import threading
        def test_shares():
            count = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000) "
            with engine.connect() as connection:
                work = lambda: connection.execute(text(count + "select max(i) from n")).all()
                threads = [threading.Thread(target=work) for _ in range(2)]
                [thread.start() for thread in threads]
                [thread.join() for thread in threads]
        """,
    )
    assert outcome(text).startswith("1 failed")
    assert "CROSSING.CONCURRENT" in text


def test_what_wider_fixtures_take_late_is_not_the_tests(tmp_path: Path) -> None:
    """A module's Session and factory that connect in a test are torn down later; a test's own fixture leaks."""
    text = suite(
        tmp_path,
        """
        from sqlalchemy.orm import Session
        @pytest.fixture(scope="module")
        def session():
            with Session(engine) as session:
                yield session
        @pytest.fixture(scope="module")
        def connect():
            made = []
            yield lambda: made.append(engine.connect()) or made[-1]
            while made:
                made.pop().close()
        @pytest.fixture(scope="session")
        def database():
            yield engine
        @pytest.fixture
        def forgotten(database):
            KEPT.append(database.connect())
            return KEPT[-1]
        def test_session(session):
            session.execute(text("select 1"))
        def test_session_again(session):
            session.execute(text("select 1"))
        def test_factory(connect):
            connect().execute(text("select 1"))
        def test_forgotten(forgotten):
            forgotten.execute(text("select 1"))
        """,
    )
    assert outcome(text) == "1 failed, 3 passed"
    assert "FAILED test_shop.py::test_forgotten" in text


def test_tests_share_a_modules_connection_by_turns(tmp_path: Path) -> None:
    """One connection for a module, a task for each test: the tests are flows one after the other, and no crossing."""
    text = suite(
        tmp_path,
        """
        import pytest_asyncio
        from sqlalchemy.ext.asyncio import create_async_engine
        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def connection():
            engine = create_async_engine("sqlite+aiosqlite:///shop.db")
            async with engine.connect() as connection:
                yield connection
            await engine.dispose()
        @pytest.mark.asyncio(loop_scope="module")
        async def test_one(connection):
            await connection.execute(text("select 1"))
        @pytest.mark.asyncio(loop_scope="module")
        async def test_two(connection):
            await connection.execute(text("select 1"))
        """,
    )
    assert outcome(text) == "2 passed"


def test_beside_a_plugin_that_runs_tests_itself(tmp_path: Path) -> None:
    """Who runs tests again goes on doing so; a test that leaks is an error at its teardown then."""
    (tmp_path / "conftest.py").write_text(
        textwrap.dedent(
            """
            from _pytest.runner import runtestprotocol

            def pytest_runtest_protocol(item, nextitem):
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                if any(report.failed for report in reports):
                    reports = runtestprotocol(item, nextitem=nextitem, log=False)
                for report in reports:
                    item.ihook.pytest_runtest_logreport(report=report)
                return True
            """
        )
    )
    text = suite(
        tmp_path,
        """
        TRIES = []
        def test_at_last():
            TRIES.append(1)
            assert len(TRIES) == 2
        def test_leaks():
            KEPT.append(engine.connect())
        """,
    )
    assert outcome(text) == "2 passed, 1 error"
    assert "ERROR test_shop.py::test_leaks - poolwatch: " in text
