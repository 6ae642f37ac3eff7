"""Replace a method of a class and remember how to put the original back."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from typing import Any

from poolwatch.host.guard import Guard


def patch(guard: Guard, hook: str, owner: Any, name: str, replacement: Any) -> Any:
    """Put ``replacement`` at ``owner.name``; gives the original. Undoing leaves no trace on ``owner``."""
    own = vars(owner).get(name, _ABSENT)
    original = getattr(owner, name)
    functools.update_wrapper(getattr(replacement, "__func__", replacement), getattr(original, "__func__", original))
    if inspect.iscoroutinefunction(original) and not inspect.iscoroutinefunction(replacement):
        _mark(replacement)
    setattr(owner, name, replacement)
    guard.add(hook, lambda: _restore(owner, name, own, replacement))
    return original


_ABSENT = object()


def _mark(replacement: Any) -> None:
    """Have a plain function that gives a coroutine pass for one that is: mocks of the class look."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(replacement)
    else:
        replacement._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


def _restore(owner: Any, name: str, own: Any, replacement: Any) -> None:
    if vars(owner).get(name) is not replacement:
        return  # somebody wrapped it after us; ours stays underneath and must not be cut out
    if own is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, own)
