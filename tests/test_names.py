"""Whoever is named in one finding is told from the others in it, also where the application gave all one name."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

import poolwatch
from poolwatch.model import Finding, Json, Owner, told_apart
from poolwatch.report import schema
from poolwatch.text import render
from tests.reports import finding, report

KEPT: list[Any] = []
"""What is found here was not handed over, as what a local variable of the test holds would be."""
ONE = text("select 1")
SLOW = text("with recursive n(i) as (select 1 union all select i + 1 from n limit 300000) select max(i) from n")


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Give a watch that looks only when it is told to."""
    watch = poolwatch.install(interval=60, grace=0)
    yield watch
    watch.uninstall()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine with two connections that any thread may use."""
    url = f"sqlite:///{tmp_path}/shop.db"
    engine = create_engine(
        url, pool_size=2, max_overflow=0, pool_timeout=0.2, connect_args={"check_same_thread": False}
    )
    yield engine
    engine.dispose()


def in_workers(*works: Callable[[], object]) -> None:
    """Run functions in threads that are all named "worker", to their end."""
    threads = [threading.Thread(target=work, name="worker") for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def found(watch: poolwatch.Watch, kind: str) -> tuple[Finding, Json, str]:
    """Give the one finding of a kind: itself, in the report, and its block of the text."""
    (one,) = [one for one in watch.findings() if one.kind == kind]
    report = watch.report()
    assert schema.problem(report) is None
    (shown,) = [one for one in report["findings"] if one["kind"] == kind]
    return one, shown, render({**report, "findings": [shown]})


def numbered(owners: list[Json]) -> list[str]:
    """Give the names that threads named "worker" have where they must be told apart."""
    return [f"worker #{owner['key']} (pid {owner['pid']})" for owner in owners]


def test_two_users_of_one_name(watch: poolwatch.Watch, engine: Engine) -> None:
    """Where victim and culprit have one name, the summary and the list of who it was say which is which."""
    with engine.connect() as connection:
        together = threading.Barrier(2)

        def use() -> None:
            together.wait()
            with suppress(Exception):  # what SQLAlchemy makes of it is a matter of luck
                connection.execute(SLOW)

        in_workers(use, use)
        one, shown, said = found(watch, "crossing.concurrent")
    assert len({owner["thread_id"] for owner in shown["owners"]}) == 2
    assert [owner["thread"] for owner in shown["owners"]] == ["worker", "worker"]
    names = numbered(shown["owners"])
    assert len(set(names)) == 2
    assert all(name in one.summary and f"Who         thread {name}, ended" in said for name in names)


def test_owner_and_user_of_one_name(watch: poolwatch.Watch, engine: Engine) -> None:
    """Where who took it and who used it last have one name, the summary says which of them it means."""
    taken, used = threading.Event(), threading.Event()

    def take() -> None:
        KEPT.append(engine.connect())
        taken.set()
        used.wait(30)

    def use() -> None:
        taken.wait(30)
        KEPT[0].execute(ONE)
        used.set()

    in_workers(take, use)
    one, shown, said = found(watch, "leak.owner_ended")
    KEPT.pop().close()
    names = numbered(shown["owners"])
    assert len(set(names)) == 2
    assert names[0] in one.summary
    assert all(f"Who         thread {name}, ended" in said for name in names)


def test_holders_of_one_name(watch: poolwatch.Watch, engine: Engine) -> None:
    """Holders and waiters of one name are told apart, in their lists and in what the summary says of the first."""
    out = threading.Barrier(3)

    def hold() -> None:
        with engine.connect():
            out.wait(30)
            out.wait(30)

    def wait() -> None:
        out.wait(30)
        time.sleep(0.01)
        with suppress(PoolTimeout):
            engine.connect()
        out.wait(30)

    in_workers(hold, hold, wait)
    one, shown, said = found(watch, "starvation.exhausted")
    lists = [*shown["lease"]["holders"], *shown["lease"]["waiters"]]
    names = [f"thread {name}" for name in numbered(shown["owners"])]
    assert [holder["owner"] for holder in shown["lease"]["holders"]] == names
    assert len({person["owner"] for person in lists}) == 3
    assert all(person["owner"].partition(" (pid")[0] + " (" in said for person in lists)
    assert all(person["owner"] in one.summary for person in (lists[0], lists[2]))


def test_tasks_of_one_name(watch: poolwatch.Watch, engine: Engine) -> None:
    """Tasks of one name and function on one thread are told apart as well."""

    async def sweep() -> None:
        if KEPT:
            KEPT[0].execute(ONE)
        else:
            KEPT.append(engine.connect())
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(asyncio.create_task(sweep(), name="sweeper") for _ in range(2)))

    asyncio.run(main())
    one, shown, said = found(watch, "leak.owner_ended")
    KEPT.pop().close()
    names = [f"{owner['task']} #{owner['key']} on thread MainThread" for owner in shown["owners"]]
    assert len(set(names)) == 2
    assert names[0] in one.summary
    assert all(f"Who         task {name}" in said for name in names)


def test_number_outlives_a_long_name() -> None:
    """Where a name gives way to the line that holds, the number by which it is told apart stays."""
    people = told_apart(*(Owner(1, "main", "task", task="sweeper " + "s" * 60, key=key) for key in (7, 8)))
    holders = [{"owner": str(one), "age_seconds": 1.0, "site": "/srv/" + "deep/" * 20 + "held.py:7"} for one in people]
    said = render(report(finding(lease={"holders": holders})))
    assert all(re.search(rf"task sweeper s+\.\.\. #{key}, for 1 s, from .*/held.py:7\n", said) for key in (7, 8))


def test_names_that_differ_stay_as_they_are() -> None:
    """Nothing is added to a name that stands for one owner, however often, or that another process uses too."""
    people = [Owner(1, "a", key=1), Owner(1, "a", key=1), Owner(1, "b", key=2), Owner(2, "a", key=3)]
    assert [str(one) for one in told_apart(*people)] == [str(one) for one in people]
    assert "#" not in render(report(finding(owners=tuple(people)))).partition("== ")[2]


def test_report_without_numbers_of_owners() -> None:
    """A report that was written before owners had numbers is one, and is shown."""
    old = report(finding(owners=(Owner(1, "a", key=1), Owner(1, "a", key=2))))
    for owner in old["findings"][0]["owners"]:
        del owner["key"], owner["thread_id"]
    assert schema.problem(old) is None
    assert render(old).count("thread a (pid 1)") == 2
