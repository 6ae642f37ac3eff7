"""A block that gives back what was taken in it, however it ends: return, error, cancellation, GreenletExit, kill."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from poolwatch.errors import LeakError
from poolwatch.ledger import Lease, Ledger, crossing
from poolwatch.remedies import give_back, may_give_back, start
from poolwatch.senses import stack
from poolwatch.senses.actor import Actor, current
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
                pending = give_back(ledger, lease, REMEDY)
                if pending is not None:
                    start(pending)
            _judge(ledger, left, kind)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ledger, left = self._left()
        if ledger is not None and left:
            futures = [start(pending) for lease in left if (pending := give_back(ledger, lease, REMEDY)) is not None]
            for future in futures:
                await asyncio.shield(future)  # a second cancellation must not leave it half returned
            _judge(ledger, left, kind)

    def _left(self) -> tuple[Ledger | None, list[Lease]]:
        ledger, me, began = self._open.pop()
        if ledger is None:
            return None, []
        mine = [lease for lease in ledger.out() if lease.owner is me and lease.taken >= began]
        return ledger, [lease for lease in mine if may_give_back(lease, current())]

    def __call__(self, function: _Function) -> _Function:
        """Make every call of ``function`` a fiber of its own."""
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise TypeError(f"{function!r} is a generator: open the fiber inside it, around the work")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def waits(*args: Any, **kwargs: Any) -> Any:
                async with fiber():
                    return await function(*args, **kwargs)

            return waits  # type: ignore[return-value]

        @functools.wraps(function)
        def runs(*args: Any, **kwargs: Any) -> Any:
            with fiber():
                return function(*args, **kwargs)

        return runs  # type: ignore[return-value]


def _judge(ledger: Ledger, left: list[Lease], kind: type[BaseException] | None) -> None:
    strict = [lease for lease in left if crossing.is_strict(ledger, lease.conn.pool)]
    if strict and kind is None:
        raise LeakError("a fiber ended without giving back " + "; ".join(map(_words, strict)))


def _words(lease: Lease) -> str:
    where = stack.site(lease.site.code, lease.site.offset) if lease.site.code else "an unknown line"
    return f"a connection of pool {lease.conn.pool.name!r} taken at {where}"
