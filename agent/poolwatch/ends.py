"""The ends and forks of a process: each is met once, whichever way the process goes.

``os.register_at_fork`` cannot be undone, so one set of handlers is registered for good and does nothing while no
watch is installed. ``os._exit`` is wrapped because forked children end that way (multiprocessing, gunicorn, plain
``os.fork``), past every ``atexit`` function.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import NoReturn, Protocol


class Watched(Protocol):
    """What is told of forks and ends."""

    def before_fork(self) -> None:
        """Prepare for a fork."""

    def after_fork_in_parent(self) -> None:
        """Go on in the parent."""

    def after_fork_in_child(self) -> None:
        """Begin anew in the child."""

    def at_end(self) -> None:
        """Do what is to be done last."""


_watched: Watched | None = None
_registered = False
_exit: Callable[[int], NoReturn] | None = None


def follow(watched: Watched) -> None:
    """Tell ``watched`` of forks and of the end of the process, until ``unfollow``."""
    global _watched, _registered, _exit
    _watched = watched
    if not _registered and hasattr(os, "register_at_fork"):
        _registered = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
    atexit.register(_at_end)
    _exit = os._exit
    setattr(os, "_exit", _exit_at_once)  # noqa: B010


def unfollow() -> None:
    """Leave ``atexit`` and ``os._exit`` as they were."""
    global _watched
    _watched = None
    atexit.unregister(_at_end)
    if _exit is not None and os._exit is _exit_at_once:
        setattr(os, "_exit", _exit)  # noqa: B010


def _exit_at_once(status: int) -> NoReturn:
    """Exit to the system with specified status, without normal exit processing."""
    _at_end()
    assert _exit is not None
    _exit(status)


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
