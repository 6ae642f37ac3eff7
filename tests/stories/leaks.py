"""Leaks: connections that nobody gives back, and the corrected programs."""

from __future__ import annotations

from tests.stories.databases import (
    ASYNC,
    ASYNC_SERVERS,
    ASYNCPG,
    FILE,
    MARIADB,
    MSSQL,
    PG,
    PG2,
    PG_ASYNC,
    SYNC,
    SYNC_SERVERS,
)
from tests.stories.story import Expected, Story, told


def _ended(owner: str, count: int | None = None, state: str = "open") -> Expected:
    return Expected("leak.owner_ended", owner, count=count, state=state)


def _collected(owner: str, count: int | None = 1) -> Expected:
    return Expected("leak.collected", owner, "proved", count=count)


def _at_exit(owner: str = "MainThread") -> Expected:
    return Expected("leak.process_ended", owner, "proved", count=1)


def _overdue(owner: str, count: int | None = 1) -> Expected:
    return Expected("leak.overdue", owner, "suspected", "resolved", count)


def _in_transaction(owner: str) -> Expected:
    return Expected("hold.idle_in_transaction", owner, "suspected", "resolved", 1)


OVERDUE = "--overdue-after 1"
IN_TRANSACTION = "--idle-in-transaction-after 0.5"
_FEW = f"{FILE} {PG} {MARIADB}"

_SESSIONS = (
    *told("session_without_remove", f"{SYNC} {MSSQL}", _collected("report-", 4), twin="shared_session_clean"),
    *told("session_without_remove_uncollected", _FEW, _ended("report-", 2), twin="shared_session_clean"),
    *told(
        "executor_without_remove",
        _FEW,
        _overdue("worker_", 2),
        options=OVERDUE,
        twin="executor_without_remove_clean",
    ),
    *told("executor_without_remove_clean", PG, options=OVERDUE),
    *told("session_kept_on_service", FILE, _ended("loader", 1)),
    *told("dropped_session", _FEW, _collected("MainThread"), twin="dropped_session_committed_clean"),
    *told("dropped_session_committed_clean", f"{FILE} {PG}"),
)

_THREADS = (
    *told("kept_by_ended_thread", SYNC, _ended("importer", 1), twin="kept_by_ended_thread_clean"),
    *told("kept_by_ended_thread_returned", f"{FILE} {PG}", _ended("importer", 1, "resolved")),
    *told("kept_by_ended_thread_clean", f"{FILE} {PG}"),
    *told("kept_by_many_ended_threads", f"{FILE} {PG2}", _ended("importer-", 3)),
    *told("kept_by_lowlevel_thread", FILE, _ended("", 1), twin="lowlevel_thread_clean"),
    *told("kept_and_ident_reused", f"{FILE} {PG}", _ended("importer", 1)),
    *told("kept_by_exception", FILE, _ended("importer", 1), twin="kept_by_exception_clean"),
    *told("kept_by_exception_clean", FILE),
)

_DROPPED = (
    *told("dropped", SYNC, _collected("MainThread", 3), twin="dropped_clean"),
    *told("dropped_clean", f"{FILE} {PG}"),
    *told("dropped_at_once", f"{FILE} {PG}", _collected("MainThread")),
    *told("dropped_cycle", FILE, _collected("MainThread")),
    *told("dropped_raw", _FEW, _collected("MainThread"), twin="raw_connection_clean"),
    *told("dropped_nullpool", f"{FILE} {PG}", _collected("MainThread"), twin="nullpool_threads_clean"),
    *told("dropped_on_error", f"{FILE} {PG}", _collected("MainThread"), twin="dropped_on_error_clean"),
    *told("dropped_on_error_clean", PG),
    *told("dropped_generator_clean", PG),
    *told("creator_dropped", FILE, _collected("MainThread"), twin="creator_clean"),
    *told("detached", SYNC, Expected("leak.detached", "MainThread", "proved", count=1), twin="detached_clean"),
    *told("detached_clean", _FEW, options=OVERDUE),
)

_TASKS = (
    *told("dropped_async", ASYNC, _collected("counter"), twin="dropped_async_clean"),
    *told("dropped_async_clean", f"{ASYNCPG} {PG_ASYNC}"),
    *told("dropped_async_session", ASYNC, _collected("counter"), twin="dropped_async_clean"),
    *told("kept_by_ended_task", ASYNC, _ended("importer", 1, "resolved"), twin="dropped_async_clean"),
    *told("kept_by_cancelled_task", f"{ASYNCPG} {PG_ASYNC}", _ended("importer", 1, "resolved")),
    *told("kept_by_ended_loop", f"{ASYNCPG} {PG_ASYNC}", _ended("", 1)),
    *told("kept_by_failed_task", f"{ASYNCPG} {PG_ASYNC}", _ended("importer", 1), twin="kept_by_failed_task_clean"),
    *told("kept_by_failed_task_clean", f"{ASYNCPG} {PG_ASYNC}"),
)

_GREENLETS = (
    *told("kept_by_ended_greenlet", f"{FILE} {PG}", _ended("", 1)),
    *told("kept_by_killed_greenlet", f"{FILE} {MARIADB}", _ended("", 1), twin="kept_by_killed_greenlet_clean"),
    *told("kept_by_killed_greenlet_clean", f"{FILE} {MARIADB}"),
)

_PROCESSES = (
    *told("killed_worker", f"{FILE} {PG}", _at_exit(), twin="killed_worker_clean"),
    *told("killed_worker_clean", FILE),
    *told("killed_subprocess", f"{FILE} {PG}", _at_exit()),
    *told("held_at_exit", f"{FILE} {PG}", _at_exit(), twin="held_at_exit_clean"),
    *told("held_at_exit_clean", FILE),
    *told("held_at_os_exit", f"{FILE} {PG}", _at_exit()),
    *told("held_at_sigterm", f"{FILE} {PG}", _at_exit(), exit=143),
)

_HOLDS = (
    *told("overdue", SYNC, _overdue("MainThread"), options=OVERDUE, twin="busy_batch_clean"),
    *told("overdue_async", ASYNC, _overdue("holder"), options=OVERDUE, twin="long_report_async_clean"),
    *told("long_report_clean", SYNC_SERVERS, options=OVERDUE),
    *told("long_report_async_clean", ASYNC_SERVERS, options=OVERDUE),
    *told("busy_batch_clean", f"{FILE} {PG}", options=OVERDUE),
    *told("raw_cursor_busy_clean", SYNC_SERVERS, options=OVERDUE),
    *told(
        "idle_in_transaction",
        SYNC,
        _in_transaction("MainThread"),
        options=IN_TRANSACTION,
        twin="idle_after_commit_clean",
    ),
    *told(
        "idle_in_transaction_async",
        ASYNC,
        _in_transaction("handler"),
        options=IN_TRANSACTION,
        twin="idle_after_commit_async_clean",
    ),
    *told("idle_after_commit_clean", SYNC, options=IN_TRANSACTION),
    *told("idle_after_commit_async_clean", ASYNC, options=IN_TRANSACTION),
    *told(
        "idle_after_read",
        f"{PG} {PG2}",
        _in_transaction("MainThread"),
        options=IN_TRANSACTION,
        twin="idle_after_read_clean",
    ),
    *told("idle_after_read_clean", f"{PG} {PG2}", options=IN_TRANSACTION),
    *told(
        "idle_after_read_async",
        f"{ASYNCPG} {PG_ASYNC}",
        _in_transaction("handler"),
        options=IN_TRANSACTION,
        twin="idle_after_read_async_clean",
    ),
    *told("idle_after_read_async_clean", f"{ASYNCPG} {PG_ASYNC}", options=IN_TRANSACTION),
    *told("idle_in_autocommit_clean", SYNC, options=IN_TRANSACTION),
    *told("long_transaction_busy_clean", SYNC_SERVERS, options=IN_TRANSACTION),
)

RISING = "--interval 0.05 --floor-window 0.3 --floor-steps 4"

_DRIFTS = (
    *told(
        "slow_leak",
        f"{FILE} {PG}",
        Expected("drift.rising_floor", "MainThread", "suspected", "open", 1),
        Expected("leak.process_ended", "MainThread", "proved", count=8),
        options=RISING,
        twin="slow_leak_clean",
    ),
    *told("slow_leak_clean", f"{FILE} {PG}", options=RISING),
    *told("consumers_clean", f"{PG} {FILE}", options=RISING),
)

LEAKS: tuple[Story, ...] = (*_SESSIONS, *_THREADS, *_DROPPED, *_TASKS, *_GREENLETS, *_PROCESSES, *_HOLDS, *_DRIFTS)
