"""Flask: every application gives its requests a flow, whatever serves it; it ends when the body is closed."""

from __future__ import annotations

from types import MethodType
from typing import Any

from flask.app import Flask
from flask.globals import request

from poolwatch.hooks import web, wsgi
from poolwatch.hooks.patch import patch
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger

_HOOK = "flask"


def install(ledger: Ledger, guard: Guard) -> None:
    """Begin the flow of each request in ``Flask.__call__``, outside the application's own middleware."""
    original = Flask.__call__

    def __call__(self: Any, environ: Any, start_response: Any) -> Any:
        return wsgi.serve(MethodType(original, self), environ, start_response)

    patch(guard, _HOOK, Flask, "__call__", __call__)
    dispatch = Flask.full_dispatch_request

    def full_dispatch_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:  # named by the URL rule, which is known by now and forgotten before the body is sent
            asked = current_request()
            flow = asked.environ.get(web.MARK)
            if isinstance(flow, web.Request):
                rule = asked.url_rule
                flow.is_named(asked.method, "(no route)" if rule is None else rule.rule)
        except Exception as error:
            guard.failed(_HOOK, error)
        return dispatch(self, *args, **kwargs)

    patch(guard, _HOOK, Flask, "full_dispatch_request", full_dispatch_request)


current_request: Any = request._get_current_object  # type: ignore[attr-defined]
"""Asks the proxy once: each question to it costs as much as all else here."""
