"""Requests and jobs as flows: what outlives one, what two share, what workers inherit, and correct applications."""

from __future__ import annotations

from tests.stories.databases import FILE, MARIADB, PG, PG2
from tests.stories.story import Expected, Story, told


def _left(route: str, marker: str = "# <- site", count: int | None = None) -> Expected:
    return Expected("leak.scope_ended", route, "proved", "open", count, site_line=marker)


def _forked(workers: int) -> Expected:
    return Expected("crossing.process", "MainThread", "proved", count=workers)


FRAMEWORKS: tuple[Story, ...] = (
    *told(
        "web_request_leaks",
        f"{FILE} {PG}",
        _left(r"^GET /v1/orders/\{id\}$", "# <- handler", 2),
        _left(r"^GET /customers/\{name\}$", "# <- dependency", 1),
        twin="web_requests_clean",
    ),
    *told("web_requests_clean", f"{FILE} {PG}"),
    *told(
        "web_response_leaks",
        FILE,
        _left(r"^POST /bills/\{number\}$", "# <- background", 1),
        _left("^GET /export$", "# <- body", 1),
        twin="web_responses_clean",
    ),
    *told("web_responses_clean", FILE),
    *told("web_middleware_leaks", FILE, _left(r"^GET /orders/\{id\}$", count=1)),
    *told("web_stream_held", FILE, Expected("hold.idle", grade="suspected", count=1), twin="web_responses_clean"),
    *told("web_shared_connection", PG, Expected("crossing.flow", r"^GET /orders/\{id\}$", "proved", count=1)),
    *told(
        "web_flask_leaks",
        FILE,
        _left("^GET /orders/<int:id>$", "# <- handler"),
        _left("^GET /export$", "# <- body"),
        twin="web_flask_clean",
    ),
    *told("web_flask_clean", FILE),
    *told("web_flask_preload", f"{PG} {PG2}", _forked(2), twin="web_flask_preload_clean"),
    *told("web_flask_preload_clean", f"{PG} {PG2}"),
    *told("web_celery_leaks", FILE, _left(r"^shop\.ship$"), twin="web_celery_clean"),
    *told("web_celery_clean", FILE),
    *told("web_celery_threads_clean", FILE),
    *told("web_celery_prefork", f"{PG} {MARIADB}", _forked(1), twin="web_celery_prefork_clean"),
    *told("web_celery_prefork_clean", f"{PG} {MARIADB}"),
)
