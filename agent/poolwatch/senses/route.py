"""Which route is in force: the database that this piece of work chose by role, shard, tenant or whatever else.

A course is what a context (``contextvars``) carries of it. Tasks inherit contexts. Threads, executors' workers and
greenlets do not: they learn what course their starter was on, and either follow it (``inherit``, ``automatic``) or
have lost it, which a checkout from a contradicting pool then proves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any, TypeVar

from poolwatch.senses import calls, flow, greenlets, stack
from poolwatch.senses.actor import current, of_greenlet
from poolwatch.senses.actors import Actor
from poolwatch.senses.nested import Nested

Route = Mapping[str, object]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_NONE: Route = MappingProxyType({})
depth = 16
"""Frames kept of where a starter was."""
automatic = False
"""True where threads, executors' work items and greenlets follow their starter's route unasked."""


class _Choice:
    """What one ``connected_to`` block chose, and by whom."""

    __slots__ = ("by", "over", "words")

    def __init__(self, words: Route, by: int) -> None:
        self.words = words
        self.by = by
        """Key of the actor that entered the block."""
        self.over = False
        """True once somebody else left the block, who cannot take it out of the context of whoever entered it."""


class Course:
    """A route and how this context came by it."""

    __slots__ = ("above", "choices", "followed", "giver", "route", "stack")

    def __init__(self, route: Route, followed: bool, giver: Actor | None = None, where: stack.Raw = ()) -> None:
        self.route = route
        self.followed = followed
        """False where it is the starter's, and this context has lost it."""
        self.giver = giver
        """Who started this thread or greenlet; None where the route was chosen in this context or its ancestors'."""
        self.stack = where
        self.above: Course | None = None
        """What this context began with, below the choices."""
        self.choices: tuple[_Choice, ...] = ()
        """Those that make up the route, the latest last."""


_course: ContextVar[Course | None] = ContextVar("poolwatch_course", default=None)
Entry = Token[Course | None]
"""What leads back to the course before."""


def current_course() -> Course | None:
    """Give the course of this context; of a greenlet that has none, its parent's, which it has lost."""
    return _in_force(_course.get()) or _of_parent_greenlet()


def _in_force(course: Course | None, but: _Choice | None = None) -> Course | None:
    """Give what of a course is in force: earlier choices may be over before later ones."""
    if course is None or not any(choice.over or choice is but for choice in course.choices):
        return course
    return _chosen(course.above, tuple(choice for choice in course.choices if not choice.over and choice is not but))


def _chosen(above: Course | None, choices: tuple[_Choice, ...]) -> Course | None:
    if not choices:
        return above
    start = above or _of_parent_greenlet()
    words = dict(start.route) if start is not None and start.followed else {}
    for choice in choices:
        words.update(choice.words)
    course = Course(MappingProxyType(words), True)
    course.above, course.choices = above, choices
    return course


def _of_parent_greenlet() -> Course | None:
    # only one step up: the parent of gevent's greenlets is their hub, whose own parent has started nothing
    parent = greenlets.getcurrent().parent if greenlets.getcurrent is not None else None
    context = parent.gr_context if parent is not None else None
    course: Course | None = context.get(_course) if context is not None else None
    course = _in_force(course)
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
        self._open = Nested[_Choice]()

    def __enter__(self) -> Route:
        choice, course = _Choice(self._route, current().key), _in_force(_course.get())
        above, choices = (course.above, course.choices) if course is not None and course.choices else (course, ())
        _course.set(_chosen(above, (*choices, choice)))
        self._open.push(choice)
        return route()

    def __exit__(self, *raised: object) -> None:
        _end(self._open.pop())

    async def __aenter__(self) -> Route:
        return self.__enter__()

    async def __aexit__(self, *raised: object) -> None:
        self.__exit__()


def _end(choice: _Choice) -> None:
    """Take one choice out of the route: blocks in generators do not always end in the order they began in."""
    course = _course.get()
    here = course is not None and choice in course.choices
    if here and choice.by == current().key:
        _course.set(_in_force(course, choice))  # what has inherited it keeps it: a task may outlive its starter's block
    else:
        choice.over = True


def inherit(function: _Function) -> _Function:
    """Make ``function`` run with the route and flow of whoever wrapped it, in any thread, greenlet or task.

    Raises TypeError for a generator.
    """
    calls.refuse_generators(function, "inherit what goes through it")
    course, strand = current_course(), flow.own_strand(current().key)
    followed = Course(course.route, True) if course is not None else None
    keys, scope = strand.keys, strand.scope
    del course, strand  # they die with this context, which is how its end is known
    inherited: _Function = calls.around(function, lambda: _Inherited(followed, keys, scope))
    return inherited


class _Inherited:
    """A block with the route and flow of somebody else."""

    def __init__(self, course: Course | None, keys: tuple[int, ...], scope: flow.Scope | None) -> None:
        self._given = course, keys, scope

    def __enter__(self) -> None:
        course, keys, scope = self._given
        self._entries = take(course), flow.inherit(keys, scope)

    def __exit__(self, *raised: object) -> None:
        course, strand = self._entries
        leave(course)
        flow.leave(strand)


def contradicts(chosen: Route, tag: Route) -> bool:
    """Tell whether a pool's tag says something else than the route does; what only one of them names is no matter."""
    return any(key in chosen and chosen[key] != value for key, value in tag.items())


def words(route: Route) -> str:
    """Say a route in a few words."""
    return ", ".join(f"{key}={value}" for key, value in route.items())
