"""How a block is put around every call of a function, whatever that turns out to be.

An object may have an ``async def __call__``, and a wrapper may be a plain function that passes a coroutine on. The work
is done in the coroutine, so the block has to be there.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import CoroutineType
from typing import Any


def refuse_generators(function: Any, instead: str) -> None:
    """Raise TypeError for a generator function, with what to do ``instead``: its body runs when the call is over."""
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is looked at
    if any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in (function, call)):
        raise TypeError(f"{function!r} is a generator: {instead}")


def is_coroutine_function(function: Any) -> bool:
    """Tell whether a call of ``function`` gives a coroutine, as far as it says so."""
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is looked at
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def is_coroutine(result: object) -> bool:
    """Tell whether ``result`` is a coroutine and nothing else: what pools acquire with may be for ``async with``, too.

    Asks its type alone, since a proxy would ask whom it stands for.
    """
    return type(result) is CoroutineType or type(result).__name__ == "coroutine"  # Cython's has a type of its own


def around(function: Any, block: Callable[[], AbstractContextManager[object]]) -> Any:
    """Make every call of ``function`` run in a block of its own; of a coroutine from a plain function, its run too."""

    @functools.wraps(function)
    async def waits(*args: Any, **kwargs: Any) -> Any:
        with block():
            return await function(*args, **kwargs)

    @functools.wraps(function)
    async def goes_on(result: Any) -> Any:
        with block():
            return await result

    @functools.wraps(function)
    def runs(*args: Any, **kwargs: Any) -> Any:
        with block():
            result = function(*args, **kwargs)
        return goes_on(result) if is_coroutine(result) else result

    return waits if is_coroutine_function(function) else runs
