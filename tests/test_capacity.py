"""What servers say of themselves, what the pools of all processes could ask of them, and what is kept to ourselves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from poolwatch.cli.servers import given
from poolwatch.collecting.servers import Server as Asked
from poolwatch.collecting.servers import servers
from poolwatch.errors import PoolwatchError
from poolwatch.evidence import server_side
from poolwatch.evidence.target import Target, target
from tests.launcher import environment, poolwatch, script, until
from tests.servers import Server
from tests.servers.base import free_port
from tests.test_agent import agent

SECRET = "s3cr:t/päss"
QUOTED = "s3cr%3At%2Fp%C3%A4ss"


def postgres_dsn(server: Server) -> str:
    """Give a URL with a password, which a server that trusts does not ask for."""
    return f"postgresql+psycopg://{server.user}:{QUOTED}@localhost:{server.port}/{server.database}"


WORKER = """
import sys, time
import poolwatch
poolwatch.install(interval=0.02)
from sqlalchemy import create_engine, text
engine = create_engine(sys.argv[1], pool_size=30, max_overflow=20)
with engine.connect() as connection, engine.connect():
    connection.execute(text("select 1"))
    print("ready", flush=True)
    sys.stdin.read()
"""


def entry(seen: Any) -> dict[str, Any]:
    """Give what the report says of the only server."""
    (one,) = seen.report()["servers"]
    return dict(one)


def test_oversubscribed(tmp_path: Path, postgres: Server) -> None:
    """One worker fits, two may open more than the server allows: found, counted, and gone with the second one."""
    (tmp_path / "dsn").write_text(f"# the shop's\n{postgres_dsn(postgres)}\n")
    path = script(tmp_path, WORKER)

    def worker() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, path, postgres.url("psycopg").replace("127.0.0.1", "localhost")],
            env=environment(POOLWATCH_DIR=str(tmp_path / "spool")), stdin=subprocess.PIPE, text=True,
        )  # fmt: skip

    with agent(tmp_path, "--server", "@dsn") as seen, closing(psycopg.connect(postgres.dsn)):
        one, other = worker(), worker()
        try:
            until(lambda: entry(seen)["pool_limit"] == 100)
            found = entry(seen)
            assert (found["max_connections"], found["reserved"], found["pools"], found["error"]) == (100, 3, 2, None)
            (finding,) = seen.report()["findings"]
            assert (finding["kind"], finding["grade"], finding["state"]) == (
                "capacity.oversubscribed",
                "suspected",
                "open",
            )
            assert "2 pools may open 100 connections" in finding["summary"]
            until(lambda: entry(seen)["connections"] == 6)  # two each, the test's and the agent's own
            until(lambda: entry(seen)["sessions_elsewhere"] == 1)  # the test's
            name = f"localhost:{postgres.port}"
            check = ["promtool", "check", "metrics"]
            done = subprocess.run(check, input=seen.get("metrics"), capture_output=True, timeout=20)
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
            gauges = seen.sums(("gauge",))
            assert gauges["poolwatch_server_up", name] == 1
            assert gauges["poolwatch_server_max_connections", name] == 100
            assert gauges["poolwatch_server_connections", name] == 6
            assert gauges["poolwatch_server_sessions_elsewhere", name] == 1
            assert gauges["poolwatch_server_pool_limit", name] == 100
            other.communicate()
            until(lambda: [one["state"] for one in seen.report()["findings"]] == ["resolved"])
            text = seen.get("report.json").decode() + json.dumps(seen.report()) + seen.get("metrics").decode()
            assert SECRET not in text
            assert QUOTED not in text
        finally:
            for process in (one, other):
                process.communicate()


LINES: list[tuple[str, str]] = [
    ("postgres", "psycopg"),
    ("postgres", "psycopg2"),
    ("postgres", "asyncpg"),
    ("mariadb", "pymysql"),
]
NAMED = {
    "postgres": "select application_name from pg_stat_activity where pid = pg_backend_pid()",
    "mariadb": "select attr_value from performance_schema.session_connect_attrs where attr_name = 'program_name'",
}


@pytest.mark.parametrize(("database", "driver"), LINES)
def test_line(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, database: str, driver: str) -> None:
    """By every driver a server is asked read-only, with little patience, and under a name; ends are noticed."""
    server: Server = request.getfixturevalue(database)
    drivers: dict[str, Callable[[Any, Target], Any]] = server_side._DRIVERS[
        "mysql" if database == "mariadb" else "postgresql"
    ]
    monkeypatch.setattr(server_side, "_DRIVERS", {target(_dsn(server)).dialect: {driver: drivers[driver]}})
    monkeypatch.setattr(server_side, "_STATEMENT_SECONDS", 1)
    (asked,) = servers([_dsn(server)], 1.0)
    assert asked.ask(), asked.error
    assert asked.facts is not None
    assert (asked.facts.max_connections, asked.facts.reserved) == ((100, 0) if database == "mariadb" else (100, 3))
    assert asked.facts.connections >= 1
    line = asked._line
    assert line is not None
    with pytest.raises(Exception, match=r"(?i)read.only"):
        line.rows("create table orders (id int)")
    with pytest.raises(Exception, match=r"(?i)timeout|timed out|interrupted|^$"):
        line.rows("select sleep(9)" if database == "mariadb" else "select pg_sleep(9)")
    asked._hang_up()
    assert asked.ask(), asked.error
    assert asked._line is not None
    if database == "postgres":
        assert asked._line.rows(NAMED[database]) == [("poolwatch",)]
    asked._hang_up()


def _dsn(server: Server) -> str:
    dialect = "mysql" if server.dialect.startswith("m") else "postgresql"
    return f"{dialect}://{server.user}@{server.host}:{server.port}/{server.database}"


END_OURS = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'poolwatch'"


def test_server_that_goes_away(postgres: Server) -> None:
    """What cannot be asked says why, keeps what it knew, and is asked again over a new connection."""
    (asked,) = servers([postgres.dsn], 1.0)
    assert asked.ask()
    with closing(psycopg.connect(postgres.dsn, autocommit=True)) as connection:
        connection.execute(END_OURS)
        until(lambda: not asked.ask())
    assert asked.error
    assert asked.facts is not None
    until(asked.ask)
    assert asked.error is None
    asked._hang_up()


def test_server_that_is_down(tmp_path: Path) -> None:
    """The agent says once that a server cannot be asked, without its password, and serves all the same."""
    dsn = f"postgresql://shop:{QUOTED}@127.0.0.1:{free_port()}/shop"
    with agent(tmp_path, "--server", dsn) as seen:
        assert seen.process.stderr is not None
        said = seen.process.stderr.readline()
        assert "cannot be asked, and is tried again" in said
        assert SECRET not in said
        assert entry(seen)["error"]
        name = entry(seen)["name"]
        assert seen.sums(("gauge",))["poolwatch_server_up", name] == 0
        assert ("poolwatch_server_max_connections", name) not in seen.sums(("gauge",))
        assert seen.end() == 0
        assert seen.process.stderr.read() == ""


READ = {
    "postgresql://shop:s%20t@db:6432/orders?sslmode=require": ("postgresql", "db", 6432, "shop", "s t", "orders"),
    "postgres://db": ("postgresql", "db", 5432, None, None, None),
    "postgresql+asyncpg://u@[::1]/d": ("postgresql", "::1", 5432, "u", None, "d"),
    "postgresql:///d?host=db&port=7": ("postgresql", "db", 7, None, None, "d"),
    r"host=db port=1 user='a b' password='it\'s' dbname=d": ("postgresql", "db", 1, "a b", "it's", "d"),
    "mysql+pymysql://u:p@db/d?charset=utf8mb4": ("mysql", "db", 3306, "u", "p", "d"),
    "mariadb://u@db:3307": ("mysql", "db", 3307, "u", None, None),
}


@pytest.mark.parametrize("dsn", READ)
def test_read(dsn: str) -> None:
    """URLs, with SQLAlchemy's driver in them or not, and libpq's words say the same."""
    read = target(dsn)
    assert (read.dialect, read.host, read.port, read.user, read.password, read.database) == READ[dsn]
    assert "password" not in repr(read)


REFUSED = {
    "sqlite": ("sqlite:///hunter2.db", "not a server's DSN"),
    "no words": ("hunter2 hunter2", "not a server's DSN"),
    "port": ("postgresql://u:hunter2@db:many/d", "not a server's DSN"),
    "bracket": ("postgresql://u:hunter2[@db/d", "not a server's DSN"),
    "no host": ("postgresql://:hunter2@/d", "must name one host"),
    "file's socket": ("host=/run/postgresql password=hunter2", "must name one host"),
    "no file": ("@none", "'none' cannot be read"),
    "empty file": ("@empty", "'empty' names no server"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("where", ["--server", "POOLWATCH_SERVERS"])
def test_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, where: str) -> None:
    """A DSN that is none is refused with what is allowed, and is not quoted."""
    dsn, sentence = REFUSED[what]
    (tmp_path / "empty").write_text("# nothing\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POOLWATCH_SERVERS", f"\n{dsn}\n" if where == "POOLWATCH_SERVERS" else "")
    with pytest.raises(PoolwatchError, match=f"^{where}: .*{re.escape(sentence)}") as refused:
        given([dsn] if where == "--server" else None, 1.0)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_refused_by_the_agent(tmp_path: Path) -> None:
    """The command ends with 2 and the sentence."""
    done = poolwatch("agent", "--dir", "spool", "--server", "host=db hunter2", cwd=tmp_path)
    assert (done.returncode, "--server: not a server's DSN; use" in done.stderr) == (2, True)
    assert "hunter2" not in done.stderr


def test_one_server_twice() -> None:
    """Two DSNs of one server would count everything twice."""
    with pytest.raises(PoolwatchError, match="db:5432 is given twice"):
        servers(["postgresql://a@db/a", "host=db user=b"], 1.0)


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a driver the agent says what to install."""
    monkeypatch.setattr(server_side, "_DRIVERS", {"mysql": {"no_such_driver": None}})
    with pytest.raises(PoolwatchError, match="Install it with: pip install no_such_driver"):
        Asked(target("mysql://db"), 1.0)
