"""A request as a flow: its name is known late, and read when somebody asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import monotonic
from typing import Any

from poolwatch.host.guard import Guard, is_hosts
from poolwatch.senses import flow
from poolwatch.senses.flow import Scope

MARK = "poolwatch.scope"
"""Key in an ASGI scope or WSGI environment under which its flow is; a mounted application's request is the same."""

_HOOK = "web"
_guard: Guard | None = None
out = False
"""True once it has failed under this watch: requests go on without a flow."""

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
_LONGEST_SEGMENT = 24
_MOST_SEGMENTS = 8
_DIGIT = re.compile(r"\d").search


def install(guard: Guard) -> None:
    """Have failures counted; whoever begins flows of requests works without it, too."""
    global _guard, out
    _guard, out = guard, False
    guard.add(_HOOK, _leave)


def _leave() -> None:
    global _guard, out
    out = _guard is not None and _guard.is_out(_HOOK)
    _guard = None


def failed(error: Exception) -> None:
    """Note that a request got no flow, or did not end it. One of the host's own errors is raised again."""
    if _guard is not None:
        _guard.failed(_HOOK, error)
    elif is_hosts(error):
        raise error


class Request(Scope):
    """One request: named by its route once that is known, until then by what ``named`` makes of what was ``asked``."""

    __slots__ = ("_asked", "_entry", "_named")

    def __init__(self, named: Callable[[Any], str], asked: Any) -> None:
        above = flow.current_scope()
        while isinstance(above, Request):  # a server may begin the next request inside the one before
            above = above.parent
        super().__init__("(request)", None, above)
        self._named: Callable[[Any], str] | None = named
        self._asked: Any = asked
        self._entry = flow.begin(self)

    @property
    def name(self) -> str:
        """Give method and route, as far as they are known."""
        named = self._named
        if named is None:
            return self._name
        try:
            return named(self._asked)
        except Exception:  # read from another thread while the framework still fills it in
            return self._name

    def is_named(self, method: str, route: str) -> None:
        """Take what a framework says of it, for good."""
        self._asked = method, route
        self._named = _method_and_route

    def end(self, *, here: bool = True) -> None:
        """End the request; let go of what the name is read from. ``here`` is false in a finalizer."""
        try:
            if self.took:  # else nobody will ever ask
                self._name = self.name
            self._named = self._asked = None
            if not self.ended:
                self.ended = monotonic()
            if here:
                flow.leave(self._entry)
        except Exception as error:
            failed(error)


def _method_and_route(asked: tuple[str, str]) -> str:
    return f"{method(asked[0])} {asked[1]}"


def method(word: object) -> str:
    """Give an HTTP method that there are few of: clients may send any word."""
    return str(word) if word in _METHODS else "_OTHER"


def guess(path: str) -> str:
    """Make a template of a path whose route is not known: what looks like a number or a key varies."""
    segments = path.split("/")[: _MOST_SEGMENTS + 1]
    return "/".join("{}" if _varies(segment) else segment for segment in segments) or "/"


def _varies(segment: str) -> bool:
    return len(segment) > _LONGEST_SEGMENT or _DIGIT(segment) is not None
