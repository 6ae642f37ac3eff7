"""Any sequence of what can happen to connections of a psycopg pool: numbers and findings equal the pool's and model's.

A slot that was lost counts as used by the pool for ever, and so it must by poolwatch, until the pool is closed.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from psycopg_pool import ConnectionPool, PoolTimeout

import poolwatch
from tests.servers import Server

pytestmark = [
    pytest.mark.timeout(300),  # a timeout inside Hypothesis ends the whole run
    pytest.mark.usefixtures("small_heap"),
]

EXAMPLES = int(os.environ.get("EXAMPLES", "12"))
LONG = 604_800
SIZE = 3
KEPT: dict[int, Any] = {}
"""What is out, by number; a module's dictionary, so that no living frame reaches it."""
PICK = strategies.integers(0, SIZE)


def take(pool: ConnectionPool[Any], number: int) -> None:
    """Take a connection and keep it."""
    KEPT[number] = pool.getconn(timeout=5)


def execute(number: int) -> None:
    """Run a statement; the server may have ended the session meanwhile."""
    try:
        KEPT[number].execute("select 1")
    except psycopg.OperationalError:
        pass


def run(call: Callable[[], None], threaded: bool) -> None:
    """Call here, or in a thread that ends."""
    if not threaded:
        call()
        return
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


class Machine(RuleBasedStateMachine):
    """Takes, uses, breaks, loses and gives back connections of one pool, and asks poolwatch after each step."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.watch = poolwatch.install(
            interval=60, grace=0, overdue_after=LONG, idle_in_transaction_after=LONG, starved_after=86_400,
            resolve_after=LONG, stack_depth=4,
        )  # fmt: skip
        self.pool = ConnectionPool(self.server.dsn, min_size=SIZE, open=True, kwargs={"autocommit": True})
        self.pool.wait()
        self.number = 0
        self.over: dict[int, tuple[bool, bool, bool]] = {}
        """By number: whether the thread of the owner has ended, and that of the last user."""
        self.lost = self.timeouts = self.taken = 0
        self.collected = 0
        self.closed = False

    def pick(self, which: int) -> int:
        return sorted(KEPT)[which % len(KEPT)]

    @precondition(lambda self: not self.closed and len(KEPT) + self.lost < SIZE)
    @rule(threaded=strategies.booleans())
    def getconn(self, threaded: bool) -> None:
        self.number += 1
        run(lambda: take(self.pool, self.number), threaded)
        self.taken += 1
        self.over[self.number] = (threaded, threaded, False)

    @precondition(lambda self: not self.closed and len(KEPT) + self.lost == SIZE)
    @rule()
    def time_out(self) -> None:
        try:
            self.pool.getconn(timeout=0.01)
        except PoolTimeout:
            self.timeouts += 1

    @precondition(lambda self: KEPT)
    @rule(which=PICK, threaded=strategies.booleans())
    def use(self, which: int, threaded: bool) -> None:
        number = self.pick(which)
        if not KEPT[number].closed:
            run(lambda: execute(number), threaded)
            owner, user, in_service = self.over[number]
            self.over[number] = (owner, threaded, in_service or (owner and user))

    @precondition(lambda self: KEPT)
    @rule(which=PICK)
    def break_(self, which: int) -> None:
        connection = KEPT[self.pick(which)]
        with psycopg.connect(self.server.dsn, autocommit=True) as other:
            if not connection.closed:
                other.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])

    @precondition(lambda self: KEPT)
    @rule(which=PICK, threaded=strategies.booleans())
    def putconn(self, which: int, threaded: bool) -> None:
        number = self.pick(which)
        run(lambda: self.pool.putconn(KEPT.pop(number)), threaded)
        del self.over[number]

    @precondition(lambda self: KEPT and not self.closed)
    @rule(which=PICK)
    def drop(self, which: int) -> None:
        number = self.pick(which)
        del KEPT[number], self.over[number]
        gc.collect()
        self.lost += 1
        self.collected += 1

    @rule()
    def collect(self) -> None:
        gc.collect()

    @precondition(lambda self: not self.closed)
    @rule()
    def drain(self) -> None:
        self.pool.drain()

    @precondition(lambda self: not self.closed)
    @rule()
    def close(self) -> None:
        self.pool.close()
        self.closed, self.lost = True, 0

    @invariant()
    def agrees(self) -> None:
        (state,) = [pool for pool in self.watch.snapshot().pools if pool.name == self.pool.name]
        assert state.used == len(KEPT) + self.lost
        assert (state.checkouts_total, state.timeouts_total, state.waiting) == (self.taken, self.timeouts, 0)
        until = time.monotonic() + 5
        while not self.closed and not self.equal() and time.monotonic() < until:
            time.sleep(0.002)
        assert self.closed or self.equal()
        found = Counter({finding.kind: finding.count for finding in self.watch.findings() if finding.state == "open"})
        assert found["leak.collected"] == self.collected
        assert ("leak.owner_ended" in found) == any(
            owner and user and not in_service for owner, user, in_service in self.over.values()
        )
        assert found.keys() <= {
            "leak.collected",
            "leak.owner_ended",
            "starvation.exhausted",
            "starvation.self_deadlock",
        }
        assert self.watch.snapshot().process.hook_errors == {}

    def equal(self) -> bool:
        """Tell whether the pool, whose workers open what is missing, and poolwatch count the same."""
        (state,) = [pool for pool in self.watch.snapshot().pools if pool.name == self.pool.name]
        stats = self.pool.get_stats()
        return (state.used, state.idle) == (stats["pool_size"] - stats["pool_available"], stats["pool_available"])

    def teardown(self) -> None:
        for number in list(KEPT):
            self.pool.putconn(KEPT.pop(number))
        self.pool.close()
        assert [pool.used for pool in self.watch.snapshot().pools if pool.name == self.pool.name] == [0]
        self.watch.uninstall()


def test_numbers_equal_the_pools_own(postgres: Server) -> None:
    """After any step used, idle, checkouts and timeouts are the pool's, and each lost slot is one finding."""
    machine = type("OnServer", (Machine,), {"server": postgres})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=12,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
