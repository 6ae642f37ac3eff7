"""Who runs here: the thread, and within it the asyncio task or greenlet; and whether they have ended.

An Actor is cached for as long as what it names lives, so two uses by one task are one object. It holds only weak
references. Everything called from hooks is lock-free: the GIL makes each dict operation whole, and a thread, task
or greenlet is registered only by itself.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import _get_running_loop
from collections.abc import Container
from time import monotonic
from types import FunctionType, MethodType
from typing import Any

from poolwatch.host.native import began_at, get_ident, get_native_id, own_threads, thread_local
from poolwatch.senses import greenlets
from poolwatch.senses.actors import (
    MAIN_IDENT,
    Actor,
    ForeignThread,
    Loop,
    OwnThread,
    Ref,
    greenlet_name,
    task_name,
    thread_name,
)

if sys.version_info >= (3, 12):
    from asyncio import current_task as _current_task
else:
    # the C dictionary behind current_task, which is four times as fast before 3.12
    _current_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]


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
    if ident in threading._active or ident == MAIN_IDENT:  # type: ignore[attr-defined]
        return Actor("thread", thread_name(ident), None)
    native_id = get_native_id()
    began = began_at(native_id)
    known = _foreign.get(native_id)
    if known is None or not began or known.began != began:
        for other in [other for other in list(_foreign.values()) if other.has_ended()]:
            _foreign.pop(other.native_id, None)
        known = _foreign[native_id] = ForeignThread(thread_name(ident), native_id, began)
    known.left = False
    return known


def _new_loop(loop: asyncio.AbstractEventLoop) -> Loop:
    known = _loops[id(loop)] = Loop(loop, _forget_loop)
    return known


def _forget_loop(ref: Ref) -> None:
    known = _loops.get(ref.was)
    if known is not None and known.ref is ref:
        del _loops[ref.was]


def _new_task(task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> Actor:
    actor = Actor("task", task_name(task), _thread(), _loops.get(id(loop)) or _new_loop(loop))
    _register(_tasks, task, actor, _task_gone)
    # what runs eagerly may be named after its first step, and end before anybody asks
    task.add_done_callback(_eager_task_done if task in _eager_tasks else _task_done)
    return actor


def _new_greenlet(greenlet: Any) -> Actor:
    actor = Actor("greenlet", "", _thread())
    actor.name = greenlet_name(greenlet) or f"{type(greenlet).__name__}-{actor.key} {_function(greenlet)}".strip()
    parent = greenlet.parent
    above = _greenlets.get(id(parent)) if parent.parent is not None else actor.thread
    actor.above = above.key if above else 0
    _register(_greenlets, greenlet, actor, _greenlet_gone)
    greenlets.meet(greenlet)
    return actor


def _function(greenlet: Any) -> str:
    """Name what a greenlet of gevent's runs; nothing of a plain one, which does not tell, or of what is no function."""
    run = getattr(greenlet, "_run", None)
    return str(run.__qualname__) if isinstance(run, (FunctionType, MethodType)) else ""


def _register(table: dict[int, Actor], subject: Any, actor: Actor, gone: Any) -> None:
    actor.ref = Ref(subject, gone)
    actor.ref.known, actor.ref.was = actor, id(subject)
    table[id(subject)] = actor


def _task_done(task: asyncio.Task[Any]) -> None:
    actor = _tasks.pop(id(task), None)
    if actor is not None:
        actor.ended = monotonic()


def _eager_task_done(task: asyncio.Task[Any]) -> None:
    actor = _tasks.get(id(task))
    if actor is not None:
        actor.name = task_name(task) or actor.name
    _task_done(task)


def _task_gone(ref: Ref) -> None:
    _gone(_tasks, ref)


def _greenlet_gone(ref: Ref) -> None:
    _gone(_greenlets, ref)


def _gone(table: dict[int, Actor], ref: Ref) -> None:
    actor = ref.known
    actor.ended = actor.ended or monotonic()
    if table.get(ref.was) is actor:
        del table[ref.was]


def loops() -> list[asyncio.AbstractEventLoop]:
    """Give the known event loops that live and are not closed."""
    found = [known.ref() for known in list(_loops.values())]
    return [loop for loop in found if loop is not None and not loop.is_closed()]
