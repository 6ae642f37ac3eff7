"""Who runs here: the thread, and within it the asyncio task or greenlet; and whether they have ended.

An Actor is cached for as long as what it names lives, so two uses by one task are one object. It holds only weak
references. Everything called from hooks is lock-free: the GIL makes each dict operation whole, and a thread, task
or greenlet is registered only by itself.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from asyncio import _get_running_loop
from collections.abc import Container
from itertools import count
from time import monotonic
from types import FunctionType, MethodType
from typing import Any

from poolwatch.host.native import began_at, get_ident, get_native_id, own_threads, thread_local
from poolwatch.model import OwnerKind
from poolwatch.senses import greenlets

_serial = count(1).__next__
_IN_MAIN = threading.current_thread() is threading.main_thread()
_MAIN_IDENT = get_ident() if _IN_MAIN else threading.main_thread().ident

if sys.version_info >= (3, 12):
    from asyncio import current_task as _current_task
else:
    # the C dictionary behind current_task, which is four times as fast before 3.12
    _current_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]


class _Ref(weakref.ref[Any]):
    """A weak reference that knows the actor (or loop) it stands for."""

    __slots__ = ("known", "was")

    known: Actor
    was: int
    """id() of what it referred to."""


class Loop:
    """An event loop, by number: what a task runs on and what an async pool belongs to."""

    __slots__ = ("key", "name", "ref")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.key = _serial()
        self.name = f"{type(loop).__name__}-{self.key}"
        self.ref = _Ref(loop, _forget_loop)
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
        self.ref: _Ref | None = None
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
        if self.thread.ended:
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
            return _thread_name(self.thread_id)
        subject = self.ref() if self.ref else None
        if subject is None:
            return ""
        return _task_name(subject) if self.kind == "task" else _greenlet_name(subject)


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


class _Token:
    """Lives in the thread's locals and dies with them: the one sign of a thread's end that always comes."""

    __slots__ = ("actor",)

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def __del__(self) -> None:
        if type(self.actor) is ForeignThread:
            self.actor.left = True
        else:
            self.actor.ended = monotonic()


_here = thread_local()
_foreign: dict[int, ForeignThread] = {}
"""By the system's id of the thread."""
_tasks: dict[int, Actor] = {}
_greenlets: dict[int, Actor] = {}
_loops: dict[int, Loop] = {}
_eager_tasks: Container[object] = getattr(asyncio.tasks, "_eager_tasks", ())
"""Those whose first step runs inside the call that makes them; from Python 3.12 on."""


def current() -> Actor:
    """Give the actor that runs this code: the task if there is one, else the greenlet, else the thread."""
    loop = _get_running_loop()
    if loop is not None:
        task = _current_task(loop)
        if task is not None:
            return _tasks.get(id(task)) or _new_task(task, loop)
    if greenlets.getcurrent is not None:
        greenlet = greenlets.getcurrent()
        if greenlet.parent is not None:
            return _greenlets.get(id(greenlet)) or _new_greenlet(greenlet)
    try:
        return _here.actor  # type: ignore[no-any-return]
    except AttributeError:
        return _thread()


def of_greenlet(greenlet: Any) -> Actor:
    """Give the actor of a greenlet of this thread; of one that is not known, the thread."""
    return _greenlets.get(id(greenlet)) or _thread()


def of_task(task: Any) -> Actor | None:
    """Give the actor of a task; None of one that is not known."""
    return _tasks.get(id(task))


def current_loop() -> Loop | None:
    """Give the event loop that runs in this thread, if any."""
    loop = _get_running_loop()
    return None if loop is None else _loops.get(id(loop)) or _new_loop(loop)


def _thread() -> Actor:
    try:
        return _here.actor  # type: ignore[no-any-return]
    except AttributeError:
        ident = get_ident()
        actor = _new_thread(ident)
        _here.actor, _here.token = actor, _Token(actor)
        return actor


def _new_thread(ident: int) -> Actor:
    if ident in own_threads:
        return OwnThread("thread", "poolwatch", None)
    if ident in threading._active or ident == _MAIN_IDENT:  # type: ignore[attr-defined]
        return Actor("thread", _thread_name(ident), None)
    native_id = get_native_id()
    began = began_at(native_id)
    known = _foreign.get(native_id)
    if known is None or not began or known.began != began:
        for other in [other for other in list(_foreign.values()) if other.has_ended()]:
            _foreign.pop(other.native_id, None)
        known = _foreign[native_id] = ForeignThread(_thread_name(ident), native_id, began)
    known.left = False
    return known


def _thread_name(ident: int) -> str:
    # not current_thread(): it would make a dummy Thread for a foreign thread, which the host would see
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    if thread is not None:
        return str(thread.name)
    return "MainThread" if ident == _MAIN_IDENT else f"thread-{ident}"


def _new_loop(loop: asyncio.AbstractEventLoop) -> Loop:
    known = _loops[id(loop)] = Loop(loop)
    return known


def _forget_loop(ref: _Ref) -> None:
    known = _loops.get(ref.was)
    if known is not None and known.ref is ref:
        del _loops[ref.was]


def _new_task(task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> Actor:
    actor = Actor("task", _task_name(task), _thread(), _loops.get(id(loop)) or _new_loop(loop))
    _register(_tasks, task, actor, _task_gone)
    # what runs eagerly may be named after its first step, and end before anybody asks
    task.add_done_callback(_eager_task_done if task in _eager_tasks else _task_done)
    return actor


def _task_name(task: asyncio.Task[Any]) -> str:
    """Give name and function of a task."""
    return f"{task.get_name()} {getattr(task.get_coro(), '__qualname__', '')}".strip()


def _new_greenlet(greenlet: Any) -> Actor:
    actor = Actor("greenlet", "", _thread())
    actor.name = _greenlet_name(greenlet) or f"{type(greenlet).__name__}-{actor.key} {_function(greenlet)}".strip()
    parent = greenlet.parent
    above = _greenlets.get(id(parent)) if parent.parent is not None else actor.thread
    actor.above = above.key if above else 0
    _register(_greenlets, greenlet, actor, _greenlet_gone)
    greenlets.meet(greenlet)
    return actor


def _greenlet_name(greenlet: Any) -> str:
    """Give the name that somebody has chosen: of the thread that it is under gevent's patches, or its own.

    What gevent makes up for the others does not tell them apart: the next greenlet gets the name of one that has died.
    """
    thread = threading._active.get(id(greenlet))  # type: ignore[attr-defined]
    if thread is not None and not str(thread.name).startswith("Dummy-"):
        return str(thread.name)
    name = vars(greenlet).get("name") or getattr(type(greenlet), "name", None)
    return name if isinstance(name, str) else ""


def _function(greenlet: Any) -> str:
    """Name what a greenlet of gevent's runs; nothing of a plain one, which does not tell, or of what is no function."""
    run = getattr(greenlet, "_run", None)
    return str(run.__qualname__) if isinstance(run, (FunctionType, MethodType)) else ""


def _register(table: dict[int, Actor], subject: Any, actor: Actor, gone: Any) -> None:
    actor.ref = _Ref(subject, gone)
    actor.ref.known, actor.ref.was = actor, id(subject)
    table[id(subject)] = actor


def _task_done(task: asyncio.Task[Any]) -> None:
    actor = _tasks.pop(id(task), None)
    if actor is not None:
        actor.ended = monotonic()


def _eager_task_done(task: asyncio.Task[Any]) -> None:
    actor = _tasks.get(id(task))
    if actor is not None:
        actor.name = _task_name(task) or actor.name
    _task_done(task)


def _task_gone(ref: _Ref) -> None:
    _gone(_tasks, ref)


def _greenlet_gone(ref: _Ref) -> None:
    _gone(_greenlets, ref)


def _gone(table: dict[int, Actor], ref: _Ref) -> None:
    actor = ref.known
    actor.ended = actor.ended or monotonic()
    if table.get(ref.was) is actor:
        del table[ref.was]


def loops() -> list[asyncio.AbstractEventLoop]:
    """Give the known event loops that live and are not closed."""
    found = [known.ref() for known in list(_loops.values())]
    return [loop for loop in found if loop is not None and not loop.is_closed()]
