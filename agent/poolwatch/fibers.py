"""A block that gives back what was taken in it, however it ends: return, error, cancellation, GreenletExit, kill."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic
from typing import Any, TypeVar

from poolwatch.errors import LeakError
from poolwatch.ledger import Lease, Ledger, crossing
from poolwatch.ledger.explain import taken
from poolwatch.remedies import comes_free, give_back, start
from poolwatch.senses import calls
from poolwatch.senses.actor import current
from poolwatch.senses.actors import Actor
from poolwatch.senses.nested import Nested
from poolwatch.watch import installed

_Function = TypeVar("_Function", bound=Callable[..., Any])
REMEDY = "fiber"


class fiber:
    """Give back, at the end of the block or decorated function, what this thread, task or greenlet took in it.

    Use ``async with`` (or decorate a coroutine function) for async pools; a plain ``with`` inside a task leaves the
    return to its loop. What it had to give back is a resolved finding; in strict mode LeakError is raised as well,
    unless another error is under way. What somebody else alive uses by now is left to him.
    """

    def __init__(self) -> None:
        self._open = Nested[tuple["Ledger | None", Actor, float]]()

    def __enter__(self) -> None:
        watch = installed()
        self._open.push((watch.ledger if watch is not None else None, current(), monotonic()))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ledger, left = self._left()
        if ledger is not None and left:
            for lease in left:
                pending = give_back(ledger, lease, REMEDY, kind is not None)
                if pending is not None:
                    start(pending)
            _judge(ledger, left, kind)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ledger, left = self._left()
        if ledger is not None and left:
            pendings = [give_back(ledger, lease, REMEDY, kind is not None) for lease in left]
            for future in [start(pending) for pending in pendings if pending is not None]:
                await asyncio.shield(future)  # a second cancellation must not leave it half returned
            _judge(ledger, left, kind)

    def _left(self) -> tuple[Ledger | None, list[Lease]]:
        ledger, me, began = self._open.pop()
        if ledger is None:
            return None, []
        mine = [lease for lease in ledger.out() if lease.taken >= began and lease.owner.took_for(me)]
        mine = [lease for lease in mine if not lease.more.detached]  # the application's own, and no pool's
        mine.sort(key=lambda lease: lease.taken)  # with the first of a Session's the others come back
        return ledger, [lease for lease in mine if comes_free(lease, current())]

    def __call__(self, function: _Function) -> _Function:
        """Make every call of ``function`` a fiber of its own."""
        calls.refuse_generators(function, "open the fiber inside it, around the work")
        decorated: _Function = _awaited(function) if calls.is_coroutine_function(function) else _called(function)
        return decorated


def _awaited(function: Any) -> Any:
    @functools.wraps(function)
    async def waits(*args: Any, **kwargs: Any) -> Any:
        async with fiber():
            return await function(*args, **kwargs)

    return waits


def _called(function: Any) -> Any:
    @functools.wraps(function)
    async def goes_on(result: Any) -> Any:
        async with fiber():
            return await result

    @functools.wraps(function)
    def runs(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as block:
            block.enter_context(fiber())
            result = function(*args, **kwargs)
            if not calls.is_coroutine(result):
                return result
            block.pop_all()  # what was taken so far is the coroutine's to use
        return goes_on(result)

    return runs


def _judge(ledger: Ledger, left: list[Lease], kind: type[BaseException] | None) -> None:
    strict = [lease for lease in left if crossing.is_strict(ledger, lease.conn.pool)]
    if strict and kind is None:
        raise LeakError("a fiber ended without giving back " + "; ".join(map(taken, strict)))
