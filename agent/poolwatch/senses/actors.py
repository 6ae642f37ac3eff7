"""What runs code and may hold connections: threads, tasks, greenlets and loops, as they are kept.

They hold only weak references to what they stand for.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Any

from poolwatch.host.native import began_at, get_ident
from poolwatch.model import OwnerKind

_serial = count(1).__next__
_IN_MAIN = threading.current_thread() is threading.main_thread()
MAIN_IDENT = get_ident() if _IN_MAIN else threading.main_thread().ident


class Ref(weakref.ref[Any]):
    """A weak reference that knows the actor (or loop) it stands for."""

    __slots__ = ("known", "was")

    known: Actor
    was: int
    """id() of what it referred to."""


class Loop:
    """An event loop, by number: what a task runs on and what an async pool belongs to."""

    __slots__ = ("key", "name", "ref")

    def __init__(self, loop: asyncio.AbstractEventLoop, gone: Callable[[Ref], None]) -> None:
        self.key = _serial()
        self.name = f"{type(loop).__name__}-{self.key}"
        self.ref = Ref(loop, gone)
        self.ref.was = id(loop)

    def closed(self) -> bool:
        """Tell whether the loop is closed or gone."""
        loop = self.ref()
        return loop is None or bool(loop.is_closed())


class Actor:
    """A thread, task or greenlet that takes or uses leases."""

    __slots__ = ("above", "ended", "key", "kind", "loop", "name", "ref", "thread", "thread_id")

    thread_id: int

    def __init__(self, kind: OwnerKind, name: str, thread: Actor | None, loop: Loop | None = None) -> None:
        self.kind = kind
        self.name = name
        self.key = _serial()
        self.thread = thread or self
        self.thread_id = thread.thread_id if thread else get_ident()
        self.loop = loop
        self.ref: Ref | None = None
        self.ended = 0.0
        self.above = 0
        """Key of the actor a greenlet was started from, or who awaits a task that does nothing of its own; else 0."""

    def has_ended(self) -> bool:
        """Tell whether nobody can run as this actor any more; for the watcher and rare paths."""
        if not self.ended and self._over():
            self.ended = monotonic()
        return bool(self.ended)

    def is_own(self) -> bool:
        """Tell whether this runs in a thread of poolwatch's."""
        return type(self.thread) is OwnThread

    def took_for(self, other: Actor) -> bool:
        """Tell whether what this took is for ``other``: the same, or who awaited this task, which is over."""
        return self is other or (self.kind == "task" and self.above == other.key and self.has_ended())

    def _over(self) -> bool:
        if self.thread is not self and self.thread.has_ended():
            return True
        if self.kind == "task":
            if self.ref is not None and ((task := self.ref()) is None or task.done()):
                return True  # who awaited it may go on before the callback that tells us
            return self.loop is not None and self.loop.closed()
        if self.kind == "greenlet":
            greenlet = self.ref() if self.ref else None
            return greenlet is None or bool(greenlet.dead)
        return False

    def rename(self) -> str:
        """Give the name as it is now; threads, tasks and greenlets are often named after they began."""
        if not self.ended:
            self.name = self._name_now() or self.name
        return self.name

    def _name_now(self) -> str:
        if self.kind == "thread":
            return thread_name(self.thread_id)
        subject = self.ref() if self.ref else None
        if subject is None:
            return ""
        return task_name(subject) if self.kind == "task" else greenlet_name(subject)


class OwnThread(Actor):
    """A thread of poolwatch's own: what it takes and waits for, in a handler or sink of the host's, is not judged."""

    __slots__ = ()

    def rename(self) -> str:
        """Keep the name: the host knows none."""
        return self.name


class ForeignThread(Actor):
    """A thread that Python did not start. What C calls back from it has thread locals of its own each time."""

    __slots__ = ("began", "left", "native_id")

    def __init__(self, name: str, native_id: int, began: bytes) -> None:
        super().__init__("thread", name, None)
        self.native_id = native_id
        self.began = began
        """When the system began it; empty where the system does not say."""
        self.left = False
        """True while it is not in Python."""

    def _over(self) -> bool:
        return self.left and (not self.began or began_at(self.native_id) != self.began)


def thread_name(ident: int) -> str:
    """Give the name of a thread, or its number where Python did not start it."""
    # not current_thread(): it would make a dummy Thread for a foreign thread, which the host would see
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    if thread is not None:
        return str(thread.name)
    return "MainThread" if ident == MAIN_IDENT else f"thread-{ident}"


def task_name(task: asyncio.Task[Any]) -> str:
    """Give name and function of a task."""
    return f"{task.get_name()} {getattr(task.get_coro(), '__qualname__', '')}".strip()


def greenlet_name(greenlet: Any) -> str:
    """Give the name that somebody has chosen: of the thread that it is under gevent's patches, or its own.

    What gevent makes up for the others does not tell them apart: the next greenlet gets the name of one that has died.
    """
    thread = threading._active.get(id(greenlet))  # type: ignore[attr-defined]
    if thread is not None and not str(thread.name).startswith("Dummy-"):
        return str(thread.name)
    name = vars(greenlet).get("name") or getattr(type(greenlet), "name", None)
    return name if isinstance(name, str) else ""
