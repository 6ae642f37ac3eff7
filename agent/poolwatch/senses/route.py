"""Which route is in force: the database that this piece of work chose by role, shard, tenant or whatever else.

A course is what a context (``contextvars``) carries of it. Tasks inherit contexts. Threads, executors' workers and
greenlets do not: they learn what course their starter was on, and either follow it (``inherit``, ``automatic``) or
have lost it, which a checkout from a contradicting pool then proves.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any, TypeVar

from poolwatch.senses import flow, greenlets, stack
from poolwatch.senses.actor import Actor, current, of_greenlet
from poolwatch.senses.nested import Nested

Route = Mapping[str, object]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_NONE: Route = MappingProxyType({})
depth = 16
"""Frames kept of where a starter was."""
automatic = False
"""True where threads, executors' work items and greenlets follow their starter's route unasked."""


class Course:
    """A route and how this context came by it."""

    __slots__ = ("followed", "giver", "route", "stack")

    def __init__(self, route: Route, followed: bool, giver: Actor | None = None, where: stack.Raw = ()) -> None:
        self.route = route
        self.followed = followed
        """False where it is the starter's, and this context has lost it."""
        self.giver = giver
        """Who started this thread or greenlet; None where the route was chosen in this context or its ancestors'."""
        self.stack = where


_course: ContextVar[Course | None] = ContextVar("poolwatch_course", default=None)
Entry = Token[Course | None]
"""What leads back to the course before."""


def current_course() -> Course | None:
    """Give the course of this context; of a greenlet that has none, its parent's, which it has lost."""
    return _course.get() or _of_parent_greenlet()


def _of_parent_greenlet() -> Course | None:
    # only one step up: the parent of gevent's greenlets is their hub, whose own parent has started nothing
    parent = greenlets.getcurrent().parent if greenlets.getcurrent is not None else None
    context = parent.gr_context if parent is not None else None
    course: Course | None = context.get(_course) if context is not None else None
    if course is None:
        return None
    return Course(course.route, course.followed and automatic, of_greenlet(parent), _frames_of(parent))


def _frames_of(greenlet: Any) -> stack.Raw:
    frame = greenlet.gr_frame
    while frame is not None and stack.inside[frame.f_code.co_filename]:
        frame = frame.f_back
    return stack.raw(frame, depth)


def to_give() -> Course | None:
    """Give what somebody whom this context starts should know of its route."""
    course = current_course()
    if course is None or not course.followed:
        return course
    return Course(course.route, automatic, current(), stack.raw(stack.outside(1), depth))


def take(course: Course | None) -> Entry:
    """Begin with what the starter gave; ``leave`` leads back."""
    return _course.set(course)


def leave(entry: Entry) -> None:
    """Go back to the course before; where that is another context's, there is nothing to go back to."""
    try:
        _course.reset(entry)
    except (ValueError, RuntimeError):
        return


def route() -> Route:
    """Give the route in force, read-only; empty where none is."""
    course = current_course()
    return course.route if course is not None and course.followed else _NONE


class connected_to:
    """Put a route in force for the block and what it starts; keys not named keep the value from around it."""

    def __init__(self, **route: object) -> None:
        self._route = route
        self._open = Nested[Entry]()

    def __enter__(self) -> Route:
        merged = MappingProxyType({**route(), **self._route})
        self._open.push(_course.set(Course(merged, True)))
        return merged

    def __exit__(self, *raised: object) -> None:
        leave(self._open.pop())

    async def __aenter__(self) -> Route:
        return self.__enter__()

    async def __aexit__(self, *raised: object) -> None:
        self.__exit__()


def inherit(function: _Function) -> _Function:
    """Make ``function`` run with the route and flow of whoever wrapped it, in any thread, greenlet or task."""
    course, strand = current_course(), flow.own_strand(current().key)
    followed = Course(course.route, True) if course is not None else None
    keys, scope = strand.keys, strand.scope
    del course, strand  # they die with this context, which is how its end is known
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waits(*args: Any, **kwargs: Any) -> Any:
            entries = take(followed), flow.inherit(keys, scope)
            try:
                return await function(*args, **kwargs)
            finally:
                leave(entries[0])
                flow.leave(entries[1])

        return waits  # type: ignore[return-value]

    @functools.wraps(function)
    def runs(*args: Any, **kwargs: Any) -> Any:
        entries = take(followed), flow.inherit(keys, scope)
        try:
            return function(*args, **kwargs)
        finally:
            leave(entries[0])
            flow.leave(entries[1])

    return runs  # type: ignore[return-value]


def contradicts(chosen: Route, tag: Route) -> bool:
    """Tell whether a pool's tag says something else than the route does; what only one of them names is no matter."""
    return any(key in chosen and chosen[key] != value for key, value in tag.items())


def words(route: Route) -> str:
    """Say a route in a few words."""
    return ", ".join(f"{key}={value}" for key, value in route.items())
