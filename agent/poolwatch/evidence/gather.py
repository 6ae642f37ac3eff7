"""Join the evidence: what suspects are asked before detectors judge, and what a new finding is dressed with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from poolwatch import model
from poolwatch.evidence import driver, reach, wire
from poolwatch.ledger import Lease
from poolwatch.native import get_ident
from poolwatch.senses import stack, whereabouts

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_SECOND_EFFORT = 10
"""Where a first walk was cut short, the next goes as many times as far: the suspicion becomes more, or goes."""


@dataclass(slots=True)
class _Answer:
    held_by: str
    retained_by: tuple[str, ...]
    again_at: float
    wait: float = _FIRST_WAIT


class Witness:
    """Remembers per suspect who keeps its handle, and asks again at growing intervals."""

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {}

    def ask(self, suspects: list[Lease], now: float, *, final: bool = False) -> None:
        """Find out who keeps the handles of ``suspects``; forgets whoever is no suspect any more."""
        known = self._answers
        self._answers = {lease.id: known[lease.id] for lease in suspects if lease.id in known}
        due = [lease for lease in suspects if final or self._due(lease.id, now)]
        if not due:
            return
        handles = {key: lease for lease in due if (key := _handle_id(lease)) is not None}
        for lease in handles.values():
            self._answers.setdefault(lease.id, _Answer("unknown", (), now))  # should the walk fail
        asked_before = any(lease.id in known for lease in due)
        living, whole = reach.by_living_frames(set(handles), _SECOND_EFFORT if asked_before else 1)
        paths = reach.by_modules(set(handles) - living)
        for key, lease in handles.items():
            kept = paths.get(key)
            held_by = "living frame" if key in living else _held_by(kept, whole)
            wait = min(_LONGEST_WAIT, 2 * known[lease.id].wait) if lease.id in known else _FIRST_WAIT
            self._answers[lease.id] = _Answer(held_by, (kept.path,) if kept else (), now + wait, wait)

    def _due(self, lease: int, now: float) -> bool:
        return lease not in self._answers or self._answers[lease].again_at <= now

    def testify(self, frozen: model.Lease) -> model.Lease:
        """Add what is known of who keeps the handle."""
        answer = self._answers.get(frozen.id)
        if answer is None:
            return frozen
        return replace(frozen, held_by=answer.held_by, retained_by=answer.retained_by)


def _held_by(kept: reach.Kept | None, whole: bool) -> str:
    if kept is not None and kept.queued:
        return "queue"
    if not whole:
        return "unknown"
    return "dead frame" if kept is not None and kept.only_dead else "other"


def _handle_id(lease: Lease) -> int | None:
    # for an instant this is a strong reference; the id alone goes on
    handle = lease()
    return None if handle is None else id(handle)


def note_unseen_use(lease: Lease, now: float) -> None:
    """Move the last use of an idle lease to where its socket last carried data: statements of a driver's own cursor."""
    handle = lease()
    if handle is not None and lease.conn.inside is None:
        connection = driver.driver_connection(handle)
        quiet = 0.0 if driver.is_executing(connection) else wire.quiet_for(connection)
        if quiet is not None:
            lease.used = max(lease.used, now - quiet)


def driver_state(lease: Lease) -> dict[str, Any]:
    """Read transaction state and backend pid of one lease from its driver; for suspects only."""
    handle = lease()
    if handle is None or lease.conn.inside is not None:
        return {}
    connection = driver.driver_connection(handle)
    return {"in_transaction": driver.in_transaction(connection), "backend_pid": driver.backend_pid(connection)}


def stacks(lease: Lease, depth: int) -> dict[str, tuple[model.Frame, ...]]:
    """Render what is known of where: the checkout, another's last use, and where the holder is now."""
    user = lease.user
    here = user.kind == "thread" and user.thread_id == get_ident()
    now = () if here or lease.returned or user.has_ended() else stack.frames(whereabouts.stack_of(user, depth))
    return {
        "checkout": stack.frames(lease.stack or lease.site.sample),
        "last_use": stack.frames(lease.more.trail.stack) if lease.more.trail else (),
        "current": now,
    }
