"""Which flow of work a piece of code belongs to: explicit scopes, and descent where nobody named one.

A strand is what a context (``contextvars``) carries for us. It is inherited as contexts are: by tasks, by
``asyncio.to_thread`` and by anyio's worker threads. It dies with its context, which is how we learn that a call
into a worker thread is over. It must never hold anything of the application's.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count

_MAX_ANCESTORS = 8
_serial = count(1).__next__


class Scope:
    """One named flow: a request, a job, a test."""

    __slots__ = ("attributes", "ended", "name", "parent", "serial")

    def __init__(self, name: str, attributes: dict[str, object], parent: Scope | None) -> None:
        self.name = name
        self.attributes = attributes
        self.parent = parent
        self.serial = _serial()
        self.ended = False


class Strand:
    """The descent of one context: keys of the actor it began with and of those before it, nearest first."""

    __slots__ = ("__weakref__", "key", "keys", "ref", "scope")

    def __init__(self, keys: tuple[int, ...], scope: Scope | None) -> None:
        self.key = keys[0]
        self.keys = keys
        self.scope = scope
        self.ref = weakref.ref(self)


_strand: ContextVar[Strand | None] = ContextVar("poolwatch_strand", default=None)


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


@contextmanager
def scope(name: str, **attributes: object) -> Iterator[Scope]:
    """Name the flow of work inside the block; what it starts (tasks, worker threads) belongs to it."""
    above = _strand.get()
    inner = Scope(name, attributes, above.scope if above else None)
    token = _strand.set(Strand(above.keys if above else (0,), inner))
    try:
        yield inner
    finally:
        inner.ended = True
        _strand.reset(token)
