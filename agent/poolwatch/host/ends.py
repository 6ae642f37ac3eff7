"""The ends and forks of a process: each is met once, whichever way the process goes.

``os.register_at_fork`` cannot be undone, so one set of handlers is registered for good and does nothing while no
watch is installed. ``os._exit`` is wrapped because forked children end that way (multiprocessing, gunicorn, plain
``os.fork``), past every ``atexit`` function; ``signal.raise_signal``, because servers end themselves with it once they
have shut down (uvicorn does on SIGTERM); ``os.execv`` and ``os.execve``, through which all of their family go, because
another program takes the process's place, and its connections go with it.

``os.fork`` and ``os.forkpty`` are wrapped from Python 3.12 on, which counts the process's threads after the handlers of
``os.register_at_fork`` and warns of forks with threads: only the wrapper knows when the counting is over.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any, NoReturn, Protocol


class Watched(Protocol):
    """What is told of forks and ends."""

    def before_fork(self) -> None:
        """Prepare for a fork."""

    def after_fork_in_parent(self) -> None:
        """Go on in the parent, with threads soon: Python may be about to count them."""

    def after_fork(self) -> None:
        """Go on in the parent, with threads."""

    def after_fork_in_child(self) -> None:
        """Begin anew in the child."""

    def at_end(self) -> None:
        """Do what is to be done last."""

    def before_exec(self) -> None:
        """Say what is known before another program takes the process's place."""

    def after_failed_exec(self) -> None:
        """Go on where it could not."""

    def holds(self) -> bool:
        """Tell whether connections are out."""


_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that end a process which does not handle them."""
_OLDEST = 2
"""The generation whose collection is that of all."""
_watched: Watched | None = None
_registered = False
_last_collection: Callable[[], object] = list
_wrapped: list[tuple[Any, str, Any, Any]] = []
"""Module, name, what was there before and what is there now."""


def follow(watched: Watched) -> None:
    """Tell ``watched`` of forks and of the end of the process, until ``unfollow``."""
    global _watched, _registered, _last_collection
    _watched = watched
    if not _registered and hasattr(os, "register_at_fork"):
        _registered = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
    atexit.register(_at_end)
    atexit.register(_last_collection := _collecting())
    _wrap(os, "_exit", _exiting)
    _wrap(signal, "raise_signal", _raising)
    _wrap(os, "execv", _replacing)
    _wrap(os, "execve", _replacing)
    for name in ("fork", "forkpty") if sys.version_info >= (3, 12) else ():
        if hasattr(os, name):
            _wrap(os, name, _following)


def unfollow() -> None:
    """Leave ``atexit`` and the functions of ``os`` and ``signal`` as they were.

    What somebody has wrapped meanwhile stays underneath, and only passes on.
    """
    global _watched
    _watched = None
    atexit.unregister(_at_end)
    atexit.unregister(_last_collection)
    while _wrapped:
        module, name, before, now = _wrapped.pop()
        if getattr(module, name) is now:
            setattr(module, name, before)


def _wrap(module: Any, name: str, wrapping: Callable[[Any], Any]) -> None:
    before = getattr(module, name)
    setattr(module, name, now := wrapping(before))
    _wrapped.append((module, name, before, now))


def _exiting(leave: Callable[[int], NoReturn]) -> Callable[[int], NoReturn]:
    @wraps(leave)
    def _exit(status: int) -> NoReturn:
        _at_end()
        leave(status)

    return _exit


def _raising(send: Callable[[int], None]) -> Callable[[int], None]:
    @wraps(send)
    def raise_signal(signalnum: int, /) -> None:
        if signalnum in _ENDING and signal.getsignal(signalnum) is signal.SIG_DFL:
            _at_end()
        send(signalnum)

    return raise_signal


def _replacing(execute: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    @wraps(execute)
    def exec_(path: Any, *args: Any, **kwargs: Any) -> NoReturn:
        ends = _can_run(path)
        if ends:
            _tell("before_exec")
        try:
            execute(path, *args, **kwargs)
        finally:
            if ends:
                _tell("after_failed_exec")

    return exec_


def _can_run(path: Any) -> bool:
    """Tell whether ``path`` can take the process's place: ``execvp`` tries one folder after the other."""
    try:
        return os.access(path, os.X_OK) and not os.path.isdir(path)
    except Exception:  # whatever it is, the function itself says what is wrong with it
        return False


def _following(fork: Callable[[], Any]) -> Callable[[], Any]:
    """Give a ``fork`` that tells when it is over. All in C: a warning of Python's names the caller's line, not ours."""
    followed = partial(next, map(_forked, iter(fork, None)))
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(followed, name, getattr(fork, name, None))
    return followed


def _forked(forked: Any) -> Any:
    """Pass on what ``fork`` gives, a pid, or ``forkpty``, which adds a descriptor."""
    if forked if isinstance(forked, int) else forked[0]:
        _tell("after_fork")
    return forked


def _before() -> None:
    _tell("before_fork")


def _in_parent() -> None:
    _tell("after_fork_in_parent")


def _in_child() -> None:
    _tell("after_fork_in_child")


def _collecting() -> Callable[[], object]:
    """Give what collects at the exit what nobody holds any more, so that it is told as dropped.

    The interpreter does so next, in the same thread, where collecting is on. All in C: warnings of finalizers name no
    line of ours, as they would not without us.
    """
    exhausted: deque[int] = deque(maxlen=0)
    return partial(exhausted.extend, map(gc.collect, _generations()))


def _generations() -> Iterator[int]:
    try:
        if gc.isenabled() and _watched is not None and _watched.holds():
            yield _OLDEST
    except Exception:  # nothing of ours may stop an exit
        return


def _at_end() -> None:
    _tell("at_end")


def _tell(what: str) -> None:
    try:
        if _watched is not None:
            getattr(_watched, what)()
    except Exception:  # nothing of ours may stop a fork or an exit
        return
