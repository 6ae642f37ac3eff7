"""Flask: every application gives its requests a flow, whatever serves it; it ends when the body is closed."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask.app import Flask
from flask.globals import request

from poolwatch.guard import Guard
from poolwatch.hooks import web, wsgi
from poolwatch.hooks.patch import patch
from poolwatch.ledger import Ledger

_HOOK = "flask"


def install(ledger: Ledger, guard: Guard) -> None:
    """Begin the flow of each request in ``Flask.__call__``, outside the application's own middleware."""
    original = Flask.__call__

    def __call__(self: Any, environ: Any, start_response: Any) -> Any:
        return wsgi.serve(partial(original, self), environ, start_response)

    patch(guard, _HOOK, Flask, "__call__", __call__)
    dispatch = Flask.full_dispatch_request

    def full_dispatch_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        _name(guard)
        return dispatch(self, *args, **kwargs)

    patch(guard, _HOOK, Flask, "full_dispatch_request", full_dispatch_request)


def _name(guard: Guard) -> None:
    """Name the flow by the URL rule, which is known by now and forgotten before the body is sent."""
    try:
        asked: Any = request
        flow = asked.environ.get(web.MARK)
        if isinstance(flow, web.Request):
            rule = asked.url_rule
            flow.is_named(f"{web.method(asked.method)} {rule.rule if rule is not None else '(no route)'}")
    except Exception as error:
        guard.failed(_HOOK, error)
