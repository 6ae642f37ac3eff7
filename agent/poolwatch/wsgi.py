"""Middleware for WSGI applications that are not run under ``poolwatch run``: each request is a flow.

>>> from poolwatch.wsgi import ScopeMiddleware
>>> app = ScopeMiddleware(app)  # doctest: +SKIP
"""

from poolwatch.hooks.wsgi import ScopeMiddleware

__all__ = ["ScopeMiddleware"]
