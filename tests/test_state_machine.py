"""Any sequence of what can happen to a connection: numbers equal the pool's own, findings equal the model's.

The model is small: which handles are out, who took and last used each, and what was dropped. After every step
poolwatch looks once. Handles are kept in a module's dictionary, so no living frame reaches them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, Pool, QueuePool, StaticPool

import poolwatch
from poolwatch.model import Snapshot

pytestmark = [
    pytest.mark.timeout(300),  # a timeout inside Hypothesis ends the whole run
    pytest.mark.usefixtures("small_heap"),
]

EXAMPLES = int(os.environ.get("POOLWATCH_TEST_EXAMPLES", "8"))
"""Of each pool class; more of them when somebody looks for something."""
LONG = 604_800
KEPT: dict[int, Any] = {}
"""The handles that are out, by number: a Connection, or what raw_connection() gives."""
PICK = strategies.integers(0, 7)
Outcome = Literal["lent", "timed out", "refused"]


@dataclass
class Held:
    """What the model knows of one handle in KEPT."""

    site: str
    pool: int
    owner_ended: bool
    user_ended: bool
    by_main: bool
    detached: bool = False
    lent: bool = True
    in_service: bool = False
    """Used after all who had it were over: it lies there for whoever comes."""


_NUMBER = count(1)


def connect(engine: Engine) -> Any:
    """Take a Connection, from a line of its own."""
    return engine.connect()


def raw_connect(engine: Engine) -> Any:
    """Take a connection of the pool itself, from a line of its own."""
    return engine.raw_connection()


def take(engine: Engine, number: int, raw: bool) -> Outcome:
    """Take a connection and keep it."""
    try:
        KEPT[number] = (raw_connect if raw else connect)(engine)
    except PoolTimeout:
        return "timed out"
    except OperationalError:
        return "refused"
    return "lent"


def use(number: int) -> Outcome:
    """Run a statement and leave no transaction; an invalidated Connection takes a new connection for it."""
    connection = KEPT[number]
    try:
        connection.rollback()
        connection.exec_driver_sql("select 1")
    except StatementError as error:  # it wraps what the pool says; when nothing could be opened it is its subclass
        return "timed out" if isinstance(error.orig, PoolTimeout) else "refused"
    return "lent"


def in_thread(call: Callable[[], Outcome]) -> Outcome:
    """Call in a thread that ends."""
    answers: list[Outcome] = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    thread.join()
    return answers[0]


class Loop:
    """An event loop in a thread, which outlives its tasks."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, call: Callable[[], Outcome], cancelled: bool) -> Outcome:
        """Call in a task that ends by itself or is cancelled; gives the answer when the task's callbacks have run."""
        answers: list[Outcome] = []

        async def body() -> None:
            answers.append(call())
            if cancelled:
                await asyncio.Event().wait()

        async def whole() -> None:
            task = asyncio.ensure_future(body())
            await asyncio.sleep(0)
            if cancelled:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(whole(), self.loop).result()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop).result()
        return answers[0]

    def close(self) -> None:
        """End loop and thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> Iterator[None]:
    """Hide what exists already from the collector: a collection after a drop then costs microseconds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Machine(RuleBasedStateMachine):
    """Takes, uses, loses and gives back connections of one engine, and asks poolwatch after each step."""

    options: ClassVar[dict[str, Any]] = {}
    shared = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.down = False
        self.watch = poolwatch.install(
            interval=60, grace=0, overdue_after=LONG, idle_in_transaction_after=LONG, starved_after=86_400,
            blocked_loop_after=3600, resolve_after=LONG,
        )  # fmt: skip
        self.name = f"machine-{next(_NUMBER)}"  # engines of earlier runs may not have been collected yet
        self.engine = create_engine("sqlite://", creator=self.open, logging_name=self.name, **self.options)
        self.loop = Loop()
        self.held: dict[int, Held] = {}
        self.numbers = 0
        self.checkouts = self.timeouts = 0
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.starved: set[str] = set()
        self.pools = [weakref.ref(self.engine.pool)]

    def open(self) -> sqlite3.Connection:
        """Open a physical connection, unless the server is down."""
        if self.down:
            raise sqlite3.OperationalError("down")
        return sqlite3.connect(Path(self.folder.name) / "shop.db", check_same_thread=False)

    def teardown(self) -> None:
        """Return all and leave nothing behind."""
        for number in list(self.held):
            KEPT.pop(number).close()
        self.loop.close()
        self.engine.dispose()
        self.watch.uninstall()
        gc.collect()
        self.folder.cleanup()

    # what can happen

    @rule(raw=strategies.booleans())
    def checkout(self, raw: bool) -> None:
        """The main thread takes a connection."""
        self.taken(lambda: take(self.engine, self.numbers, raw), raw, ended=False, by_main=True)

    @rule(raw=strategies.booleans())
    def checkout_by_thread(self, raw: bool) -> None:
        """A thread takes a connection and ends."""
        self.taken(lambda: in_thread(lambda: take(self.engine, self.numbers, raw)), raw, ended=True, by_main=False)

    @rule(raw=strategies.booleans(), cancelled=strategies.booleans())
    def checkout_by_task(self, raw: bool, cancelled: bool) -> None:
        """A task takes a connection and ends or is cancelled."""
        self.taken(
            lambda: self.loop.run(lambda: take(self.engine, self.numbers, raw), cancelled),
            raw, ended=True, by_main=False,
        )  # fmt: skip

    @rule()
    def checkout_while_down(self) -> None:
        """The main thread takes a connection while none can be opened: a reconnect may fail."""
        self.down = True
        self.taken(lambda: take(self.engine, self.numbers, False), False, ended=False, by_main=True)
        self.down = False

    @precondition(lambda self: self.some(usable=True))
    @rule(pick=PICK)
    def use_by_main(self, pick: int) -> None:
        """The main thread uses a connection."""
        number = self.choose(pick, usable=True)
        self.used(number, lambda: use(number), ended=False, by_main=True)

    @precondition(lambda self: self.some(usable=True))
    @rule(pick=PICK)
    def use_by_thread(self, pick: int) -> None:
        """A thread uses a connection and ends."""
        number = self.choose(pick, usable=True)
        self.used(number, lambda: in_thread(lambda: use(number)), ended=True, by_main=False)

    @precondition(lambda self: self.some(usable=True))
    @rule(pick=PICK)
    def use_by_task(self, pick: int) -> None:
        """A task uses a connection and ends."""
        number = self.choose(pick, usable=True)
        self.used(number, lambda: self.loop.run(lambda: use(number), False), ended=True, by_main=False)

    @precondition(lambda self: self.some())
    @rule(pick=PICK, by_thread=strategies.booleans())
    def checkin(self, pick: int, by_thread: bool) -> None:
        """Somebody gives a connection back, or closes a detached one."""
        number = self.choose(pick)
        handle = KEPT.pop(number)
        if by_thread:
            thread = threading.Thread(target=handle.close)
            thread.start()
            thread.join()
        else:
            handle.close()
        del self.held[number]

    @precondition(lambda self: not self.shared and self.some(lent=True, detached=False))
    @rule(pick=PICK)
    def detach(self, pick: int) -> None:
        """Take a connection out of its pool."""
        number = self.choose(pick, lent=True, detached=False)
        KEPT[number].detach()
        self.held[number].detached = True

    @precondition(lambda self: not self.shared and self.some(lent=True, detached=False))
    @rule(pick=PICK)
    def invalidate(self, pick: int) -> None:
        """Throw the physical connection away; the place in the pool is free at once."""
        number = self.choose(pick, lent=True, detached=False)
        KEPT[number].invalidate()
        self.held[number].lent = False

    @precondition(lambda self: not self.shared and self.some(lent=True, detached=False))
    @rule(pick=PICK)
    def invalidate_softly(self, pick: int) -> None:
        """Mark a connection to be reopened at its next checkout."""
        number = self.choose(pick, lent=True, detached=False)
        fairy = KEPT[number] if self.held[number].site == "raw_connect" else KEPT[number].connection
        fairy.invalidate(soft=True)

    @precondition(lambda self: self.some())
    @rule(pick=PICK)
    def drop(self, pick: int) -> None:
        """Forget a connection and let the garbage collector find it."""
        number = self.choose(pick)
        held = self.held.pop(number)
        del KEPT[number]
        gc.collect()
        if held.lent:
            self.dropped["leak.detached" if held.detached else "leak.collected", held.site] += 1

    @precondition(lambda self: not self.shared)
    @rule(close=strategies.booleans())
    def dispose(self, close: bool) -> None:
        """Replace the pool; what is out stays out."""
        self.engine.dispose(close=close)
        self.pools.append(weakref.ref(self.engine.pool))
        gc.collect()

    # the model

    def some(self, **wanted: bool) -> bool:
        """Tell whether a handle is kept that is as wanted."""
        return bool(self.fitting(**wanted))

    def choose(self, pick: int, **wanted: bool) -> int:
        """Give the number of one handle that is as wanted."""
        fitting = self.fitting(**wanted)
        return fitting[pick % len(fitting)]

    def fitting(self, lent: bool | None = None, detached: bool | None = None, usable: bool = False) -> list[int]:
        """Give the numbers of the handles that are as wanted; only a Connection is usable."""
        return [
            number
            for number, held in self.held.items()
            if lent in (None, held.lent)
            and detached in (None, held.detached)
            and (not usable or held.site == "connect")
        ]

    def taken(self, call: Callable[[], Outcome], raw: bool, *, ended: bool, by_main: bool) -> None:
        """Take a connection and note it."""
        if self.outcome(call, by_main) == "lent":
            site = "raw_connect" if raw else "connect"
            self.held[self.numbers] = Held(site, id(self.engine.pool), ended, ended, by_main)
            self.checkouts += 1
            self.numbers += 1

    def used(self, number: int, call: Callable[[], Outcome], *, ended: bool, by_main: bool) -> None:
        """Use a connection and note by whom; an invalidated Connection begins a new lease, at another line."""
        held = self.held[number]
        if self.outcome(call, by_main) != "lent":
            return
        held.in_service = held.in_service or (held.owner_ended and held.user_ended)
        held.user_ended, held.by_main = ended, by_main
        if not held.lent:
            self.held[number] = Held("use", id(self.engine.pool), ended, ended, by_main)
            self.checkouts += 1

    def outcome(self, call: Callable[[], Outcome], by_main: bool) -> Outcome:
        """Give what came of a call; a timeout is a finding."""
        answer = call()
        if answer == "timed out":
            self.timeouts += 1
            holding = self.of_this_pool()
            # who holds several waits for itself: that is a leak or a greedy loop, and its holders say more
            alone = by_main and len(holding) == 1 and all(held.by_main and not held.owner_ended for held in holding)
            if alone:  # it says more of the same pool, so the other is not open beside it
                self.starved = {"starvation.self_deadlock"}
            elif not self.starved:
                self.starved = {"starvation.exhausted"}
        return answer

    def out(self) -> list[Held]:
        """Give what is lent and not detached."""
        return [held for held in self.held.values() if held.lent and not held.detached]

    def of_this_pool(self) -> list[Held]:
        """Give what is lent by the present pool: nobody can wait for the others."""
        return [held for held in self.out() if held.pool == id(self.engine.pool)]

    # what poolwatch says

    @invariant()
    def findings_are_those_of_the_model(self) -> None:
        """No finding is open that the model has not, and the other way round."""
        findings = self.watch.findings()
        expected = {(kind, site): count for (kind, site), count in self.dropped.items()}
        over = [held for held in self.out() if held.owner_ended and held.user_ended and not held.in_service]
        ended = Counter(held.site for held in over)
        open_now = {
            (finding.kind, finding.site.function): finding.count
            for finding in findings
            if finding.state == "open" and finding.site and not finding.kind.startswith("starvation.")
        }
        if self.shared:  # one connection, lent to many by design: the last loan is watched, and used through them all
            ended = Counter(held.site for held in self.out() if held.owner_ended)
        modelled = expected.keys() | {("leak.owner_ended", site) for site in ended}
        if self.shared:
            assert open_now.keys() <= modelled
            return
        assert open_now.keys() == modelled
        assert {key: open_now[key] for key in expected} == expected
        starved = [f.kind for f in findings if f.state == "open" and f.kind.startswith("starvation.")]
        assert sorted(starved) == sorted(self.starved)

    @invariant()
    def numbers_are_those_of_the_pool(self) -> None:
        """Used, idle and checkouts are what pool and model say; no hook has failed."""
        gc.disable()  # a pool that was disposed of must not be collected between its numbers and the model's
        try:
            self.compare_numbers(self.watch.snapshot())
        finally:
            gc.enable()

    def compare_numbers(self, snapshot: Snapshot) -> None:
        """Compare one snapshot with pool and model."""
        if self.shared:
            return
        (state,) = [pool for pool in snapshot.pools if pool.name == self.name]
        assert state.used == len(self.out())
        if isinstance(self.engine.pool, QueuePool):
            # only the present pool is asked: an old one of dispose() forgets its overflow
            assert self.engine.pool.checkedout() == len(self.of_this_pool())
        assert state.idle == sum(self.idle(ref()) for ref in self.pools)
        assert (state.checkouts_total, state.timeouts_total) == (self.checkouts, self.timeouts)
        assert len(snapshot.leases) == len([held for held in self.held.values() if held.lent])
        assert state.waiting == 0
        assert snapshot.process.hook_errors == {}

    def idle(self, pool: Pool | None) -> int:
        """Count open connections that lie in a pool; checkedin() also counts places without a connection."""
        if isinstance(pool, QueuePool):
            return sum(record.dbapi_connection is not None for record in list(pool._pool.queue))  # type: ignore[attr-defined]
        return 0


def case(**attributes: Any) -> Any:
    """Make a test case of the machine with other attributes."""
    found = type("Machine", (Machine,), attributes).TestCase
    found.settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    # dispose(close=False) and a dropped detached connection leave sqlite3 connections to the collector
    return pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")(found)


TestQueuePool = case(options={"poolclass": QueuePool, "pool_size": 2, "max_overflow": 1, "pool_timeout": 0.001})
TestLifoWithoutOverflow = case(
    options={"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.001, "pool_use_lifo": True}
)
TestNullPool = case(options={"poolclass": NullPool})
TestStaticPool = case(options={"poolclass": StaticPool}, shared=True)
