"""Transports: gql clients shared, left open or kept, and the cures, on every transport that has them."""

from __future__ import annotations

from tests.stories.story import Expected, Story, told

_SYNC = "graphql+requests graphql+httpx"
_ASYNC = "graphql+httpx_async graphql+aiohttp graphql+websockets"
_MOVABLE = f"{_SYNC} graphql+httpx_async graphql+aiohttp"
"""Those that may be connected on one loop after another."""
_ALL = f"{_SYNC} {_ASYNC}"


def _shared(owner: str) -> Expected:
    return Expected("crossing.transport", owner, "proved")


_MOVED = Expected("crossing.transport", grade="proved", also_allowed=("leak.owner_ended",))
"""Its close on the new loop may take gql ten seconds, in which the lease of the ended one is a leak."""

_SHARED = (
    *told("gql_shared_by_threads", _ALL, _shared("report-"), twin="gql_client_per_thread_clean"),
    *told("gql_client_per_request_clean", _ALL),
    *told("gql_client_per_thread_clean", _ALL),
    *told("gql_client_queue_clean", _MOVABLE),
    *told("gql_one_after_another_clean", _MOVABLE),
    *told("gql_shared_by_tasks", _ASYNC, _shared("report-"), twin="gql_gathered_clean"),
    *told("gql_gathered_clean", _ASYNC),
    *told("gql_session_shared", _SYNC, _shared("report-"), twin="gql_session_in_turns_clean"),
    *told("gql_session_in_turns_clean", _SYNC),
    *told("gql_batching_clean", _SYNC),
    *told("gql_closed_under", _SYNC, _shared("report"), twin="gql_unclosed_clean"),
    *told("gql_reconnecting_and_connected", _ASYNC, _shared("request"), twin="gql_reconnecting_clean"),
)

_PLACES = (
    *told("gql_two_loops", _ASYNC, _MOVED, twin="gql_two_loops_clean"),
    *told("gql_two_loops_clean", "graphql+httpx_async graphql+aiohttp"),
    *told("gql_websocket_moved", "graphql+websockets", _shared("read"), twin="gql_gathered_clean"),
    *told("gql_fork", _SYNC, Expected("crossing.process", "MainThread", "proved"), twin="gql_fork_clean"),
    *told("gql_fork_clean", _SYNC),
)

_KEPT = (
    *told(
        "gql_unclosed",
        _SYNC,
        Expected("leak.process_ended", "MainThread", "proved", count=1),
        twin="gql_unclosed_clean",
    ),
    *told("gql_unclosed_clean", _SYNC),
    *told("gql_dropped", _SYNC, Expected("leak.collected", "MainThread", "proved", count=3), twin="gql_unclosed_clean"),
    *told("gql_unclosed_async", _ASYNC, Expected("leak.owner_ended", "main", count=1), twin="gql_two_loops_clean"),
    *told("gql_session_queue_clean", _SYNC),
    *told(
        "gql_queue_not_put_back",
        _SYNC,
        Expected("leak.collected", "report", "proved", count=1),
        twin="gql_session_queue_clean",
    ),
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
    *told("gql_reconnecting_clean", _ASYNC),
    *told("gql_lazy_session_clean", _ASYNC),
)

TRANSPORTS: tuple[Story, ...] = (*_SHARED, *_PLACES, *_KEPT)
