"""Which flow of work a piece of code belongs to: explicit scopes, and descent where nobody named one.

A strand is what a context (``contextvars``) carries for us. It is inherited as contexts are: by tasks, by
``asyncio.to_thread`` and by anyio's worker threads; hooks carry it to executors, threads and greenlets. It dies with
its context, which is how we learn that a call into a worker thread is over. It must never hold anything of the
application's.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from itertools import count
from sys import _getframe
from time import monotonic
from types import FrameType
from typing import Any, Protocol, TypeGuard, TypeVar

from poolwatch.senses.nested import Nested

_MAX_ANCESTORS = 8
_LONGEST_VALUE, _LONGEST = 100, 300
_NOBODY = (0,)
_serial = count(1).__next__
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Scope:
    """One named flow: a request, a job, a test."""

    __slots__ = ("_name", "attributes", "counted", "ended", "must_return", "parent", "root", "serial", "took")

    def __init__(self, name: str, attributes: dict[str, object] | None = None, parent: Scope | None = None) -> None:
        self._name = name
        self.attributes = attributes
        if parent is not None:
            parent = _living(parent)
        self.parent = parent
        self.root: Scope = self if parent is None else parent.root
        """The outermost scope: what has a common root is one flow."""
        self.serial = _serial()
        self.ended = 0.0
        """When it ended; monotonic seconds, 0 while it goes on."""
        self.must_return = False
        """True where everything taken in it must be back when it ends: nothing may be handed on."""
        self.took = False
        """True once a lease was taken or waited for in it."""
        self.counted = False
        """True once it is in the sums of its name, where a lease that comes back later still has to go."""

    @property
    def name(self) -> str:
        """Give the name as far as it is known; a request learns its route late."""
        return self._name

    def said(self) -> str | None:
        """Give the attributes as one short text; None where there are none."""
        if not self.attributes:
            return None
        words = ", ".join(f"{key}={value}" for key, value in self.attributes.items())
        return words if len(words) <= _LONGEST else words[: _LONGEST - 3] + "..."

    def over_since(self, taken: float) -> float:
        """Give when the flow of a lease taken at ``taken`` was over; 0 while a scope around it goes on."""
        since, scope = 0.0, self if not 0.0 < self.ended <= taken else None
        while scope is not None:
            if not scope.ended:
                return 0.0
            since = max(since, scope.ended)
            if scope.must_return:
                return since
            scope = scope.parent
        return since

    def is_in(self, other: Scope) -> bool:
        """Tell whether this is ``other`` or a scope within it."""
        scope: Scope | None = self
        while scope is not None and scope is not other:
            scope = scope.parent
        return scope is other

    def must_be_back(self) -> bool:
        """Tell whether this or a scope around it has ended that hands nothing on."""
        scope: Scope | None = self
        while scope is not None and not (scope.must_return and scope.ended):
            scope = scope.parent
        return scope is not None


def _living(scope: Scope | None) -> Scope | None:
    """Give the nearest scope that goes on, and let go of ended ones on the way: chains must not grow for ever."""
    while scope is not None and scope.ended:
        scope = scope.parent
    if scope is not None:
        while scope.parent is not None and scope.parent.ended:
            scope.parent = scope.parent.parent
    return scope


class Strand:
    """The descent of one context: keys of the actor it began with and of those before it, nearest first."""

    __slots__ = ("__weakref__", "key", "keys", "made", "scope")

    def __init__(self, keys: tuple[int, ...], scope: Scope | None) -> None:
        self.key = keys[0]
        self.keys = keys
        self.scope = scope
        self.made: weakref.ref[Strand] | None = None
        """The reference that ``ref`` gives, once somebody has asked for it."""

    @property
    def ref(self) -> weakref.ref[Strand]:
        """Give a weak reference; most requests never need one."""
        if self.made is None:
            self.made = weakref.ref(self)
        return self.made


_strand: ContextVar[Strand | None] = ContextVar("poolwatch_strand", default=None)
Entry = Token[Strand | None]
"""What leads back to the strand before."""


current_strand = _strand.get
"""Give the strand of this context, or None; it may be one inherited from another actor's."""


def own_strand(key: int) -> Strand:
    """Give the strand that the actor ``key`` has in this context; begins one below what it inherited."""
    above = _strand.get()
    if above is not None and above.key == key:
        return above
    strand = Strand((key,), None) if above is None else Strand((key, *above.keys[:_MAX_ANCESTORS]), above.scope)
    _strand.set(strand)
    return strand


def current_scope() -> Scope | None:
    """Give the nearest scope of this context that goes on: what has outlived its scope belongs to nobody known."""
    strand = _strand.get()
    return _living(strand.scope) if strand is not None else None


def begin(inner: Scope | None) -> Entry:
    """Let this context and what it starts belong to ``inner``; ``end`` or ``leave`` leads back."""
    above = _strand.get()
    return _strand.set(Strand(above.keys if above is not None else _NOBODY, inner))


def inherit(keys: tuple[int, ...], inner: Scope | None) -> Entry:
    """Begin a strand of its own below what another context gave along."""
    return _strand.set(Strand(keys, inner))


def leave(entry: Entry) -> None:
    """Go back to the strand before; where that is another context's, there is nothing to go back to."""
    try:
        _strand.reset(entry)
    except (ValueError, RuntimeError):
        return


def end(inner: Scope, entry: Entry) -> None:
    """End a scope that ``begin`` began."""
    inner.ended = monotonic()
    leave(entry)


class Block:
    """A ``with`` block or a decorated function that is one flow of work."""

    __slots__ = ("_attributes", "_name", "_open")

    def __init__(self, name: str, attributes: dict[str, object] | None) -> None:
        self._name = name
        self._attributes = attributes
        self._open = Nested[tuple[Scope, Entry]]()

    def __enter__(self) -> Scope:
        inner = Scope(self._name, self._attributes, current_scope())
        self._open.push((inner, begin(inner)))
        return inner

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        inner, entry = self._open.pop()
        end(inner, entry)
        if inner.took and kind is None and scope_left is not None:
            scope_left(inner, _getframe(1))

    def __call__(self, function: _Function) -> _Function:
        """Make every call of ``function`` a scope of its own."""
        decorated: _Function = _decorated(function, lambda: Block(self._name, self._attributes))
        return decorated


def _decorated(function: Any, block: Callable[[], Block]) -> Any:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function!r} is a generator: open the scope inside it, around the work")
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waits(*args: Any, **kwargs: Any) -> Any:
            with block():
                result = await function(*args, **kwargs)
            return result  # noqa: RET504 - a frame can be asked for a variable, not for what is on its stack

        return waits

    @functools.wraps(function)
    def runs(*args: Any, **kwargs: Any) -> Any:
        with block():
            result = function(*args, **kwargs)
        return result  # noqa: RET504 - as above

    return runs


def scope(name: str, **attributes: object) -> Block:
    """Name the flow of work inside the ``with`` block or the decorated function, and of what it starts.

    Attributes are kept as short text: nothing of the application's stays alive through them.
    """
    return Block(str(name), {key: _plain(value) for key, value in attributes.items()} if attributes else None)


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return value[:_LONGEST_VALUE] if isinstance(value, str) else type(value).__name__


class Trace(Protocol):
    """OpenTelemetry's span context: where in which trace something was done. It is immutable and holds no span."""

    @property
    def trace_id(self) -> int: ...  # noqa: D102

    @property
    def span_id(self) -> int: ...  # noqa: D102

    @property
    def trace_flags(self) -> int: ...  # noqa: D102


current_trace: Callable[[], Trace | None] | None = None
"""Gives the span context of this context, where there is one; None until the host has imported OpenTelemetry."""


scope_left: Callable[[Scope, FrameType], None] | None = None
"""Judges a ``with`` block that took leases and ended without an error, in the frame given; None where none watches."""


note_trace: Callable[[Any], None] | None = None
"""Notes it on a lease, quickly; None until then."""


within: Callable[[str], AbstractContextManager[object]] | None = None
"""Makes a ``with`` block whose current span is that of a ``traceparent``; None until OpenTelemetry is imported."""


def traceparent(trace: Trace) -> str:
    """Give a span context as W3C writes it."""
    return f"00-{trace.trace_id:032x}-{trace.span_id:016x}-{trace.trace_flags:02x}"


def is_sampled(trace: Trace | None) -> TypeGuard[Trace]:
    """Tell whether somebody keeps what is recorded of this trace."""
    return trace is not None and bool(trace.trace_flags & 1)
