"""Libraries beside SQLAlchemy: psycopg_pool, asyncpg, gql on every transport; and the corrected programs."""

from __future__ import annotations

from tests.stories.databases import ASYNCPG, PG
from tests.stories.story import Expected, Story, clean, told

_OVERDUE = "--overdue-after 1"
_NEVER_IN_TIME = "--overdue-after 1 --idle-in-transaction-after 600"

_SYNC = "graphql+requests graphql+httpx"
_ASYNC = "graphql+httpx_async graphql+aiohttp graphql+websockets"
_MOVABLE = f"{_SYNC} graphql+httpx_async graphql+aiohttp"
"""Those that may be connected on one loop after another."""
_ALL = f"{_SYNC} {_ASYNC}"


def _proved(kind: str, owner: str | None = None, count: int | None = None) -> Expected:
    return Expected(kind, owner, "proved", count=count)


def _shared(owner: str) -> Expected:
    return _proved("crossing.transport", owner)


def _came_back(kind: str, owner: str, grade: str | None = None, count: int = 1) -> Expected:
    return Expected(kind, owner, grade, "resolved", count)


_DROPPED = (_proved("leak.collected", "MainThread", 2), _proved("starvation.exhausted", "MainThread"))
_OVERDUE_MAIN = _came_back("leak.overdue", "MainThread", "suspected")
_ELSEWHERE = _proved("crossing.loop")
_MOVED = Expected("crossing.transport", grade="proved", also_allowed=("leak.owner_ended",))
"""Its close on the new loop may take gql ten seconds, in which the lease of the ended one is a leak."""

_PSYCOPG = (
    *told("psycopg_pool_dropped", PG, *_DROPPED, twin="psycopg_pool_dropped_clean"),
    *told(
        "psycopg_pool_dropped_async", PG, _proved("leak.collected", "counter", 1), twin="psycopg_pool_pool_a_loop_clean"
    ),
    *told("psycopg_pool_with_getconn", PG, _OVERDUE_MAIN, options=_NEVER_IN_TIME, twin="psycopg_pool_dropped_clean"),
    *told(
        "psycopg_pool_putconn_skipped",
        PG,
        _proved("leak.collected", "MainThread", 1),
        twin="psycopg_pool_putconn_skipped_clean",
    ),
    *told(
        "psycopg_pool_kept_by_ended_thread",
        PG,
        _came_back("leak.owner_ended", "importer"),
        twin="psycopg_pool_dropped_clean",
    ),
    *told("psycopg_pool_exhausted", PG, _proved("starvation.exhausted", "worker-"), twin="psycopg_pool_busy_clean"),
    *told("psycopg_pool_two_loops", PG, _ELSEWHERE, twin="psycopg_pool_lifespan_clean"),
    *told("psycopg_pool_opened_in_constructor", PG, _ELSEWHERE, twin="psycopg_pool_without_loop_clean"),
    *told("psycopg_pool_closed_elsewhere", PG, _ELSEWHERE, twin="psycopg_pool_pool_a_loop_clean"),
    *told("psycopg_pool_fork", PG, _proved("crossing.process", "MainThread", 1), twin="psycopg_pool_fork_clean"),
    *clean("psycopg_pool_dropped psycopg_pool_busy psycopg_pool_under_sqlalchemy", PG, _OVERDUE),
    *clean("psycopg_pool_putconn_skipped psycopg_pool_shared_connection psycopg_pool_without_loop", PG),
    *clean("psycopg_pool_lifespan psycopg_pool_pool_a_loop psycopg_pool_fork", PG),
)

_ASYNCPG = (
    *told("asyncpg_shared_by_tasks", ASYNCPG, _proved("crossing.concurrent", "reader-"), twin="asyncpg_pool_clean"),
    *told(
        "asyncpg_single_shared_by_tasks",
        ASYNCPG,
        _proved("crossing.concurrent", "reader-"),
        twin="asyncpg_single_in_turns_clean",
    ),
    *told(
        "asyncpg_never_released",
        ASYNCPG,
        _came_back("leak.owner_ended", "handler-", count=2),
        twin="asyncpg_pool_clean",
    ),
    *told(
        "asyncpg_overdue",
        ASYNCPG,
        _came_back("leak.overdue", "holder", "suspected"),
        options=_OVERDUE,
        twin="asyncpg_pool_clean",
    ),
    *told(
        "asyncpg_exhausted",
        ASYNCPG,
        _proved("starvation.exhausted", "holder-"),
        twin="asyncpg_cancelled_in_acquire_clean",
    ),
    *told("asyncpg_two_loops", ASYNCPG, _ELSEWHERE, twin="asyncpg_two_loops_clean"),
    *told("asyncpg_single_two_loops", ASYNCPG, _ELSEWHERE, twin="asyncpg_two_loops_clean"),
    *clean("asyncpg_pool asyncpg_single_in_turns asyncpg_cancelled_in_acquire asyncpg_two_loops", ASYNCPG),
)

_GQL_SHARED = (
    *told("gql_shared_by_threads", _ALL, _shared("report-"), twin="gql_client_per_thread_clean"),
    *told("gql_shared_by_tasks", _ASYNC, _shared("report-"), twin="gql_gathered_clean"),
    *told("gql_session_shared", _SYNC, _shared("report-"), twin="gql_session_in_turns_clean"),
    *told("gql_closed_under", _SYNC, _shared("report"), twin="gql_unclosed_clean"),
    *told("gql_reconnecting_and_connected", _ASYNC, _shared("request"), twin="gql_reconnecting_clean"),
    *told("gql_two_loops", _ASYNC, _MOVED, twin="gql_two_loops_clean"),
    *told("gql_websocket_moved", "graphql+websockets", _shared("read"), twin="gql_gathered_clean"),
    *told("gql_fork", _SYNC, _proved("crossing.process", "MainThread"), twin="gql_fork_clean"),
    *clean("gql_client_per_request gql_client_per_thread", _ALL),
    *clean("gql_client_queue gql_one_after_another", _MOVABLE),
    *clean("gql_session_in_turns gql_batching gql_fork", _SYNC),
    *clean("gql_gathered", _ASYNC),
    *clean("gql_two_loops", "graphql+httpx_async graphql+aiohttp"),
)

_GQL_KEPT = (
    *told("gql_unclosed", _SYNC, _proved("leak.process_ended", "MainThread", 1), twin="gql_unclosed_clean"),
    *told("gql_dropped", _SYNC, _proved("leak.collected", "MainThread", 3), twin="gql_unclosed_clean"),
    *told("gql_unclosed_async", _ASYNC, Expected("leak.owner_ended", "main", count=1), twin="gql_two_loops_clean"),
    *told("gql_queue_not_put_back", _SYNC, _proved("leak.collected", "report", 1), twin="gql_session_queue_clean"),
    *told(
        "gql_queue_client_not_closed",
        _SYNC,
        Expected("leak.owner_ended", "report", count=1),
        twin="gql_client_queue_clean",
    ),
    *told(
        "gql_reconnecting_unclosed",
        _ASYNC,
        Expected("leak.owner_ended", "MainThread", count=1),
        twin="gql_reconnecting_clean",
    ),
    *clean("gql_unclosed gql_session_queue", _SYNC),
    *clean("gql_reconnecting gql_lazy_session", _ASYNC),
)

LIBRARIES: tuple[Story, ...] = (*_PSYCOPG, *_ASYNCPG, *_GQL_SHARED, *_GQL_KEPT)
