"""Crossings: connections, sessions and engines used by somebody who must not, and the corrected programs."""

from __future__ import annotations

from tests.stories.databases import AIOMYSQL, ASYNC, ASYNCPG, FILE, MARIADB, MSSQL, PG, PG2, PG_ASYNC, SYNC
from tests.stories.story import Expected, Story, told

_SHARED_SESSION = Expected("crossing.session", "report-", also_allowed=("crossing.concurrent",))
_FORKED = Expected("crossing.process", "MainThread", "proved")
_FORKABLE = f"{FILE} {PG} {PG2} {MARIADB}"

_SESSIONS = (
    *told("shared_session", f"{SYNC} {MSSQL}", _SHARED_SESSION, twin="shared_session_clean"),
    *told("shared_session_mssql", MSSQL, _SHARED_SESSION, twin="shared_session_clean"),
    *told("shared_session_clean", f"{SYNC} {MSSQL}"),
    *told("greenlet_sessions_shared", f"{FILE} {PG}", Expected("crossing.session"), twin="greenlet_sessions_clean"),
    *told("greenlet_sessions_clean", FILE),
    *told(
        "gevent_session_shared",
        MARIADB,
        Expected("crossing.session", also_allowed=("crossing.concurrent",)),
        twin="gevent_session_clean",
    ),
    *told("gevent_session_clean", f"{FILE} {MARIADB}"),
    *told(
        "async_session_gathered",
        ASYNC,
        Expected("crossing.session", "load-", also_allowed=("crossing.concurrent",)),
        twin="async_session_gathered_clean",
    ),
    *told("async_session_gathered_clean", f"{ASYNCPG} {PG_ASYNC}"),
)

_CONNECTIONS = (
    *told(
        "connection_shared", SYNC, Expected("crossing.concurrent", "worker-", "proved"), twin="connection_shared_clean"
    ),
    *told("connection_shared_clean", f"{FILE} {PG}"),
    *told("connection_interleaved", f"{FILE} {PG}", Expected("crossing.interleaved", "worker-", "suspected")),
    *told("connection_under_lock_clean", f"{FILE} {PG}"),
    *told("connection_in_committed_turns_clean", f"{FILE} {PG}"),
    *told("connection_in_ended_turns_clean", f"{FILE} {MARIADB}"),
)

_LOOPS = (
    *told(
        "two_loops",
        f"{ASYNCPG} {PG_ASYNC} {AIOMYSQL}",
        Expected("crossing.loop", grade="proved"),
        twin="two_loops_clean",
    ),
    *told("two_loops_clean", f"{ASYNCPG} {PG_ASYNC} {AIOMYSQL}"),
    *told("two_loops_nullpool_clean", f"{ASYNCPG} {PG_ASYNC}"),
    *told("loop_per_thread_clean", ASYNCPG),
)

_FORKS = (
    *told("fork_os", _FORKABLE, _FORKED, twin="fork_nullpool_clean"),
    *told("fork_multiprocessing", f"{PG} {MARIADB}", _FORKED, twin="fork_dispose_in_child_clean"),
    *told("fork_executor", f"{FILE} {PG2}", _FORKED, twin="fork_dispose_in_child_clean"),
    *told("fork_session", f"{PG} {MARIADB}", _FORKED, twin="fork_while_held_clean"),
    *told("fork_connection", f"{PG} {PG2}", _FORKED, twin="fork_while_held_clean"),
    *told("fork_nullpool_clean", f"{PG} {MARIADB}"),
    *told("fork_dispose_in_child_clean", f"{PG} {MARIADB}"),
    *told("fork_dispose_before_clean", f"{PG} {MARIADB}"),
    *told("fork_pid_check_clean", _FORKABLE),
    *told("fork_engine_made_in_child_clean", PG),
    *told("fork_while_held_clean", f"{FILE} {PG}"),
    *told("fork_child_exits_clean", FILE),
    *told("fork_thread_holds_clean", f"{FILE} {PG}"),
    *told("spawn_clean", PG),
    *told("subprocess_clean", PG),
)

CROSSINGS: tuple[Story, ...] = (*_SESSIONS, *_CONNECTIONS, *_LOOPS, *_FORKS)
