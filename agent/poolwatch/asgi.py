"""Middleware for ASGI applications that are not run under ``poolwatch run``: each request is a flow.

>>> from poolwatch.asgi import ScopeMiddleware
>>> app = ScopeMiddleware(app)  # doctest: +SKIP
"""

from poolwatch.hooks.asgi import ScopeMiddleware

__all__ = ["ScopeMiddleware"]
