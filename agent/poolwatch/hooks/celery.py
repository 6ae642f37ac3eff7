"""Celery: one run of a task is one flow, named by the task; in prefork, thread and gevent pools alike."""

from __future__ import annotations

from typing import Any

from celery import signals

from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses import flow
from poolwatch.senses.flow import Entry, Scope

_HOOK = "celery"
_guard: Guard
_running: dict[str, tuple[Scope, Entry]] = {}
"""By task id: what runs now."""


def install(ledger: Ledger, guard: Guard) -> None:
    """Listen to the beginning and the end of every run."""
    global _guard
    _guard = guard
    for signal, receiver in ((signals.task_prerun, begin), (signals.task_postrun, end)):
        signal.connect(receiver, weak=False)
        guard.add(_HOOK, lambda signal=signal, receiver=receiver: signal.disconnect(receiver))  # type: ignore[misc]


def begin(task_id: str = "", task: Any = None, **_: Any) -> None:
    """Begin the flow of one run; a task run eagerly belongs to the flow of whoever called it."""
    try:
        job = Scope(str(getattr(task, "name", "(task)")), None, flow.current_scope())
        _running[task_id] = (job, flow.begin(job))
    except Exception as error:
        _guard.failed(_HOOK, error)


def end(task_id: str = "", **_: Any) -> None:
    """End the flow of one run."""
    try:
        running = _running.pop(task_id, None)
        if running is not None:
            flow.end(*running)
    except Exception as error:
        _guard.failed(_HOOK, error)
