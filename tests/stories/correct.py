"""Correct programs, and traps that look like a leak or a crossing: in none of them may anything be found."""

from __future__ import annotations

from tests.stories.databases import ASYNC, ASYNC_SERVERS, ASYNCPG, FILE, MARIADB, PG, PG2, PG_ASYNC, SYNC
from tests.stories.leaks import OVERDUE
from tests.stories.story import Story, told

_FEW = f"{FILE} {PG}"
_SERVERS = f"{PG} {MARIADB}"
_ASYNC_PG = f"{ASYNCPG} {PG_ASYNC}"

_HANDED_OVER = (
    *told("wait_for_clean", ASYNC),
    *told("fastapi_sync_dependencies_clean", _FEW),
    *told("fastapi_uvicorn_clean", FILE),
    *told("run_in_executor_clean", _FEW),
    *told("to_thread_clean", PG),
    *told("anyio_threads_clean", PG),
    *told("queue_hand_off_clean", _FEW),
    *told("queue_late_consumer_clean", FILE),
    *told("handed_to_object_clean", _FEW),
    *told("handed_by_future_clean", FILE),
    *told("scheduled_close_clean", FILE),
    *told("queued_for_executor_clean", FILE),
    *told("lowlevel_thread_clean", FILE),
    *told("handed_by_task_clean", _ASYNC_PG),
    *told("threads_open_in_init_clean", FILE),
    *told("thread_local_connection_clean", FILE),
    *told("suspended_generator_clean", FILE),
    *told("session_passed_down_clean", PG),
    *told("async_generator_clean", _ASYNC_PG),
)

_CANCELLED = (
    *told("cancelled_while_waiting_clean", ASYNC),
    *told("cancelled_while_holding_clean", ASYNC),
    *told("wait_for_timeout_clean", ASYNC_SERVERS),
    *told("task_group_failed_clean", _ASYNC_PG, min_python=(3, 11)),
)

_BROKEN = (
    *told("reconnect_fails_clean", _FEW),
    *told("checkout_refused_clean", FILE),
    *told("invalidate_clean", _FEW),
    *told("invalidate_async_clean", ASYNC),
    *told("dispose_under_load_clean", _FEW),
    *told("terminated_backend_clean", _SERVERS),
    *told("terminated_in_use_clean", _SERVERS),
    *told("exit_status_clean", FILE, exit=7),
    *told("uncaught_clean", FILE, exit=1),
)

_POOLS = (
    *told("staticpool_in_turns_clean", _FEW),
    *told("staticpool_nested_clean", FILE),
    *told("singleton_thread_pool_clean", _FEW),
    *told("nullpool_threads_clean", _FEW),
    *told("own_pool_class_clean", FILE),
    *told("creator_clean", FILE),
    *told("memory_database_clean", FILE),
    *told("overflow_and_recycle_clean", FILE),
    *told("two_engines_one_pool_clean", FILE),
    *told("thrown_away_engines_clean", _FEW),
)

_PLAIN = (
    *told("begin_in_threads_clean", _FEW),
    *told("executor_map_clean", f"{FILE} {PG2}"),
    *told("nested_sessions_clean", _SERVERS),
    *told("streaming_clean", SYNC),
    *told("streaming_async_clean", ASYNC),
    *told("task_group_clean", ASYNC, min_python=(3, 11)),
    *told("thread_scoped_async_clean", _ASYNC_PG),
    *told("gevent_pool_clean", f"{FILE} {MARIADB}"),
    *told("raw_connection_clean", SYNC),
    *told("own_events_clean", FILE),
    *told("inserts_clean", _SERVERS),
    *told("two_phase_clean", MARIADB),
    *told("timer_thread_clean", f"{FILE} {PG2}", options=OVERDUE),
    *told("stdout_clean", FILE),
    *told("engine_options_clean", _FEW),
    *told("engine_options_async_clean", ASYNC),
)

CORRECT: tuple[Story, ...] = (*_HANDED_OVER, *_CANCELLED, *_BROKEN, *_POOLS, *_PLAIN)
