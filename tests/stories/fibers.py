"""Fibers: routes that children lose, connections that ended fibers keep, and both with their cures."""

from __future__ import annotations

from tests.stories.databases import ASYNCPG, FILE, PG, PG_ASYNC
from tests.stories.story import Expected, Story, told

_GIVEN_BACK = "leak.owner_ended"


def _lost(owner: str, how: str, databases: str) -> tuple[Story, ...]:
    name = f"fiber_route_{how}"
    expected = Expected("crossing.route", owner, "proved")
    return told(name, databases, expected, twin=f"{name}_clean") + told(f"{name}_clean", databases)


_ROUTES = (
    *_lost("child", "thread", f"{FILE} {PG}"),
    *_lost("child_", "executor", f"{FILE} {PG}"),
    *_lost("greenlet-", "greenlet", FILE),
    *_lost("Greenlet-", "gevent", FILE),
    *_lost("asyncio_", "loop_executor", PG),
    *told("fiber_route_tasks_clean", f"{ASYNCPG} {PG_ASYNC}", min_python=(3, 11)),
)


def _given_back(name: str, databases: str, owner: str, count: int, twin: str) -> tuple[Story, ...]:
    return told(name, databases, Expected(_GIVEN_BACK, owner, "proved", "resolved", count), twin=twin)


_RELEASE = (
    *told(
        "fiber_tasks_until_dry",
        f"{ASYNCPG} {PG_ASYNC}",
        Expected("leak.owner_ended", "fiber-", state="resolved", count=3),
        Expected("starvation.exhausted", "fiber-", "proved"),
        twin="fiber_tasks_clean",
    ),
    *_given_back("fiber_tasks_given_back", f"{ASYNCPG} {PG_ASYNC}", "fiber-", 3, "fiber_tasks_clean"),
    *told("fiber_tasks_clean", f"{ASYNCPG} {PG_ASYNC}"),
    *_given_back("fiber_greenlets_given_back", f"{FILE} {PG}", "greenlet-", 3, "greenlet_sessions_clean"),
    *_given_back("fiber_gevent_given_back", FILE, "Greenlet-", 2, "gevent_pool_clean"),
    *_given_back("fiber_executor_given_back", f"{FILE} {PG}", "worker_", 6, "executor_map_clean"),
)

_RESOLVERS = (
    *told(
        "fiber_resolvers_share_session",
        f"{ASYNCPG} {PG_ASYNC}",
        Expected("crossing.session", also_allowed=("crossing.concurrent",)),
        twin="fiber_resolvers_share_session_clean",
    ),
    *told("fiber_resolvers_share_session_clean", f"{ASYNCPG} {PG_ASYNC}"),
)

FIBERS: tuple[Story, ...] = (*_ROUTES, *_RELEASE, *_RESOLVERS)
