"""The play: every mistake that SQLite can show, and which kinds need more than that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec

from poolwatch.demo import flows, leaks, many, processes
from poolwatch.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Scene:
    """One mistake: the finding it leads to, the story, how it is made, and the modules it needs."""

    kind: str
    story: str
    play: Callable[[Stage], AbstractContextManager[None]]
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Give the modules that are not installed here."""
        return [name for name in self.needs if find_spec(name) is None]


SCENES = (
    Scene("leak.collected", "A clerk drops a connection without closing it.", leaks.drop),
    Scene("leak.owner_ended", "A thread puts its connection into a list, and ends.", leaks.keep),
    Scene("leak.scope_ended", "A request puts its connection into a list, and ends.", flows.forget),
    Scene("leak.process_ended", "A child process ends while it has a connection in hand.", processes.leave),
    Scene("leak.detached", "A connection is detached from its pool, and dropped.", leaks.detach),
    Scene("leak.overdue", "A clerk holds a connection and goes for coffee.", leaks.dawdle),
    Scene("drift.rising_floor", "Every now and then one more connection is kept.", many.hoard),
    Scene("hold.idle_in_transaction", "A transaction stays open while a customer looks for the card.", leaks.pay),
    Scene("hold.idle", "Twenty customers download slowly, and each has a connection all the while.", many.stream),
    Scene("crossing.session", "Two threads use one Session.", leaks.share_session),
    Scene(
        "crossing.concurrent",
        "Two threads run statements on one connection at the same moment.",
        leaks.share_connection,
    ),
    Scene("crossing.interleaved", "Two threads take turns on one connection.", leaks.take_turns),
    Scene("crossing.flow", "Two requests are served in one transaction, one after the other.", flows.serve_both),
    Scene("crossing.route", "A thread reads from the primary, though its parent chose the replica.", flows.lose_route),
    Scene("crossing.process", "A child process uses a connection its parent opened.", processes.fork),
    Scene(
        "crossing.loop",
        "An async engine is used on a second event loop.",
        flows.change_loop,
        needs=("aiosqlite", "greenlet"),
    ),
    Scene("starvation.exhausted", "Two connections are out, and a third is asked for.", leaks.exhaust),
    Scene("starvation.self_deadlock", "Two threads hold one connection each and want another.", leaks.deadlock),
    Scene("starvation.blocked_loop", "An event loop stands still while its thread waits for a pool.", leaks.block_loop),
)
NOT_ON_SQLITE = {
    "crossing.transport": "a GraphQL client",
    "orphan.socket": "a database server",
    "capacity.oversubscribed": "a database server",
}
"""Kinds that the play cannot show, and what each of them needs."""
