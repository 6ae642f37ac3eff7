"""The ends and forks of a process: each is met once, whichever way the process goes.

``os.register_at_fork`` cannot be undone, so one set of handlers is registered for good and does nothing while no
watch is installed. ``os._exit`` is wrapped because forked children end that way (multiprocessing, gunicorn, plain
``os.fork``), past every ``atexit`` function; ``signal.raise_signal``, because servers end themselves with it once they
have shut down (uvicorn does on SIGTERM).

``os.fork`` is wrapped from Python 3.12 on, which counts the process's threads after the handlers of
``os.register_at_fork`` and warns of forks with threads: only the wrapper knows when the counting is over.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import NoReturn, Protocol


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


_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that end a process which does not handle them."""
_watched: Watched | None = None
_registered = False
_exit: Callable[[int], NoReturn] | None = None
_raise: Callable[[int], None] | None = None
_fork: Callable[[], int] | None = None
_followed_fork: Callable[[], int] | None = None


def follow(watched: Watched) -> None:
    """Tell ``watched`` of forks and of the end of the process, until ``unfollow``."""
    global _watched, _registered, _exit, _raise, _fork, _followed_fork
    _watched = watched
    if not _registered and hasattr(os, "register_at_fork"):
        _registered = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
    atexit.register(_at_end)
    _exit = os._exit
    setattr(os, "_exit", _exit_at_once)  # noqa: B010
    _raise, signal.raise_signal = signal.raise_signal, _raise_signal
    if sys.version_info >= (3, 12) and hasattr(os, "fork"):
        _fork = os.fork
        os.fork = _followed_fork = _following(_fork)


def unfollow() -> None:
    """Leave ``atexit``, ``os._exit``, ``signal.raise_signal`` and ``os.fork`` as they were."""
    global _watched
    _watched = None
    atexit.unregister(_at_end)
    if _exit is not None and os._exit is _exit_at_once:
        setattr(os, "_exit", _exit)  # noqa: B010
    if _raise is not None and signal.raise_signal is _raise_signal:
        signal.raise_signal = _raise
    if _fork is not None and os.fork is _followed_fork:
        os.fork = _fork


def _exit_at_once(status: int) -> NoReturn:
    """Exit to the system with specified status, without normal exit processing."""
    _at_end()
    assert _exit is not None
    _exit(status)


def _raise_signal(signalnum: int, /) -> None:
    """Send a signal to the calling process."""
    if signalnum in _ENDING and signal.getsignal(signalnum) is signal.SIG_DFL:
        _at_end()
    assert _raise is not None
    _raise(signalnum)


def _following(fork: Callable[[], int]) -> Callable[[], int]:
    """Give a ``fork`` that tells when it is over. All in C: a warning of Python's names the caller's line, not ours."""
    followed = partial(next, map(_forked, iter(fork, None)))
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(followed, name, getattr(fork, name, None))
    return followed


def _forked(pid: int) -> int:
    if pid:
        _tell("after_fork")
    return pid


def _before() -> None:
    _tell("before_fork")


def _in_parent() -> None:
    _tell("after_fork_in_parent")


def _in_child() -> None:
    _tell("after_fork_in_child")


def _at_end() -> None:
    _tell("at_end")


def _tell(what: str) -> None:
    try:
        if _watched is not None:
            getattr(_watched, what)()
    except Exception:  # nothing of ours may stop a fork or an exit
        return
