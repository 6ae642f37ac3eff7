"""Waits: pools that run dry, holders that wait for themselves, loops that stand still, and the corrected programs."""

from __future__ import annotations

from tests.stories.databases import ASYNCPG, FILE, MARIADB, PG, PG_ASYNC
from tests.stories.story import Expected, Story, told

_EXHAUSTED = Expected("starvation.exhausted", "worker-", "proved")
# Whoever deadlocks on himself times out as well, in the end: both kinds are right.
_DEADLOCK = Expected("starvation.self_deadlock", "worker-", "proved", also_allowed=("starvation.exhausted",))

WAITS: tuple[Story, ...] = (
    *told("busy_pool_clean", f"{FILE} {PG}"),
    *told("busy_pool_async_clean", f"{ASYNCPG} {PG_ASYNC}"),
    *told("exhausted", f"{FILE} {PG} {MARIADB}", _EXHAUSTED, twin="busy_pool_clean"),
    *told("exhausted_async", f"{ASYNCPG} {PG_ASYNC}", _EXHAUSTED, twin="busy_pool_async_clean"),
    *told("starved", f"{FILE} {PG}", _EXHAUSTED, options="--starved-after 0.5", twin="busy_pool_clean"),
    *told("fastapi_starved", f"{FILE} {PG}", Expected("starvation.exhausted", grade="proved")),
    *told("self_deadlock", f"{FILE} {PG} {MARIADB}", _DEADLOCK, twin="self_deadlock_clean"),
    *told("self_deadlock_clean", FILE),
    *told(
        "self_deadlock_alone",
        f"{FILE} {PG}",
        Expected("starvation.self_deadlock", "MainThread", "proved", also_allowed=("starvation.exhausted",)),
    ),
    *told("self_deadlock_async", f"{ASYNCPG} {PG_ASYNC}", _DEADLOCK),
    *told("second_connection_soon_clean", f"{FILE} {PG}"),
    *told(
        "blocked_loop",
        f"{FILE} {PG}",
        Expected("starvation.blocked_loop", "handler", "proved", count=1),
        twin="blocked_loop_clean",
    ),
    *told("blocked_loop_clean", f"{FILE} {PG}"),
    *told(
        "blocked_loop_by_task",
        f"{FILE} {PG}",
        Expected("starvation.blocked_loop", "handler-", "proved", also_allowed=("starvation.exhausted",)),
        twin="sync_engine_on_loop_clean",
    ),
    *told("sync_engine_on_loop_clean", f"{FILE} {PG}"),
)
