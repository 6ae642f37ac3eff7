"""Pools of the drivers themselves: psycopg_pool and asyncpg, without SQLAlchemy, and the corrected programs."""

from __future__ import annotations

from tests.stories.databases import ASYNCPG, PG
from tests.stories.story import Expected, Story, told

_OVERDUE = "--overdue-after 1"
_NEVER_IN_TIME = "--overdue-after 1 --idle-in-transaction-after 600"

_PSYCOPG_LEAKS = (
    *told(
        "psycopg_pool_dropped",
        PG,
        Expected("leak.collected", "MainThread", "proved", count=2),
        Expected("starvation.exhausted", "MainThread", "proved"),
        twin="psycopg_pool_dropped_clean",
    ),
    *told("psycopg_pool_dropped_clean", PG, options=_OVERDUE),
    *told(
        "psycopg_pool_dropped_async",
        PG,
        Expected("leak.collected", "counter", "proved", count=1),
        twin="psycopg_pool_pool_a_loop_clean",
    ),
    *told(
        "psycopg_pool_with_getconn",
        PG,
        Expected("leak.overdue", "MainThread", "suspected", "resolved", 1),
        options=_NEVER_IN_TIME,
        twin="psycopg_pool_dropped_clean",
    ),
    *told(
        "psycopg_pool_putconn_skipped",
        PG,
        Expected("leak.collected", "MainThread", "proved", count=1),
        twin="psycopg_pool_putconn_skipped_clean",
    ),
    *told("psycopg_pool_putconn_skipped_clean", PG),
    *told(
        "psycopg_pool_kept_by_ended_thread",
        PG,
        Expected("leak.owner_ended", "importer", state="resolved", count=1),
        twin="psycopg_pool_dropped_clean",
    ),
    *told("psycopg_pool_busy_clean", PG, options=_OVERDUE),
    *told(
        "psycopg_pool_exhausted",
        PG,
        Expected("starvation.exhausted", "worker-", "proved"),
        twin="psycopg_pool_busy_clean",
    ),
    *told("psycopg_pool_under_sqlalchemy_clean", PG, options=_OVERDUE),
    *told("psycopg_pool_shared_connection_clean", PG),
)

_PSYCOPG_ELSEWHERE = (
    *told("psycopg_pool_two_loops", PG, Expected("crossing.loop", grade="proved"), twin="psycopg_pool_lifespan_clean"),
    *told(
        "psycopg_pool_opened_in_constructor",
        PG,
        Expected("crossing.loop", grade="proved"),
        twin="psycopg_pool_without_loop_clean",
    ),
    *told("psycopg_pool_without_loop_clean", PG),
    *told(
        "psycopg_pool_closed_elsewhere",
        PG,
        Expected("crossing.loop", grade="proved"),
        twin="psycopg_pool_pool_a_loop_clean",
    ),
    *told("psycopg_pool_lifespan_clean", PG),
    *told("psycopg_pool_pool_a_loop_clean", PG),
    *told(
        "psycopg_pool_fork",
        PG,
        Expected("crossing.process", "MainThread", "proved", count=1),
        twin="psycopg_pool_fork_clean",
    ),
    *told("psycopg_pool_fork_clean", PG),
)

_ASYNCPG = (
    *told(
        "asyncpg_shared_by_tasks",
        ASYNCPG,
        Expected("crossing.concurrent", "reader-", "proved"),
        twin="asyncpg_pool_clean",
    ),
    *told(
        "asyncpg_single_shared_by_tasks",
        ASYNCPG,
        Expected("crossing.concurrent", "reader-", "proved"),
        twin="asyncpg_single_in_turns_clean",
    ),
    *told("asyncpg_pool_clean", ASYNCPG),
    *told("asyncpg_single_in_turns_clean", ASYNCPG),
    *told(
        "asyncpg_never_released",
        ASYNCPG,
        Expected("leak.owner_ended", "handler-", state="resolved", count=2),
        twin="asyncpg_pool_clean",
    ),
    *told(
        "asyncpg_overdue",
        ASYNCPG,
        Expected("leak.overdue", "holder", "suspected", "resolved", 1),
        options=_OVERDUE,
        twin="asyncpg_pool_clean",
    ),
    *told("asyncpg_cancelled_in_acquire_clean", ASYNCPG),
    *told(
        "asyncpg_exhausted",
        ASYNCPG,
        Expected("starvation.exhausted", "holder-", "proved"),
        twin="asyncpg_cancelled_in_acquire_clean",
    ),
    *told("asyncpg_two_loops", ASYNCPG, Expected("crossing.loop", grade="proved"), twin="asyncpg_two_loops_clean"),
    *told("asyncpg_two_loops_clean", ASYNCPG),
    *told(
        "asyncpg_single_two_loops", ASYNCPG, Expected("crossing.loop", grade="proved"), twin="asyncpg_two_loops_clean"
    ),
)

DRIVERS: tuple[Story, ...] = (*_PSYCOPG_LEAKS, *_PSYCOPG_ELSEWHERE, *_ASYNCPG)
