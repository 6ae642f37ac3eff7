"""Join the evidence: what suspects are asked before detectors judge, and what a new finding is dressed with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import thread_time

from poolwatch import model
from poolwatch.evidence import reach, wire
from poolwatch.evidence.at_work import is_at_work
from poolwatch.evidence.unseen import kept_out_of_sight
from poolwatch.evidence.ways import Kept
from poolwatch.host.native import get_ident
from poolwatch.ledger import Lease
from poolwatch.ledger.records import Site
from poolwatch.senses import driver, stack, whereabouts
from poolwatch.senses.actors import Actor

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_SHARE = 50
"""Times as long as a look from below took is rested after it: it stops the program, scan by scan."""
_TOLD_BELOW = {"unseen", "other"}
_SECOND_EFFORT = 4
"""The second walk for a lease goes as many times as far: the suspicion becomes more, or goes. Those after it do not."""
_FAR_SHARE = 20
"""Times as long as such a walk took none is begun after it: looks wait for it, and more suspects come all the time."""


@dataclass(slots=True)
class _Answer:
    lease: Lease
    user: Actor
    held_by: str
    retained_by: tuple[str, ...]
    again_at: float
    wait: float = _FIRST_WAIT
    far: bool = False
    """True once a walk went far for it."""

    def is_of_use(self) -> bool:
        """Tell whether the lease is out and its owner lives: its users come and go, and each brings it here again."""
        lease = self.lease
        return lease.conn.lease is lease and not lease.owner.has_ended()


class Witness:
    """Remembers per suspect who keeps its handle, and asks again at growing intervals."""

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {}
        self._served: set[Site] = set()
        """The lines whose connections were seen in a queue: there they belong while nobody uses them."""
        self._rest_until = self._far_after = 0.0

    def ask(self, suspects: list[Lease], now: float, *, final: bool = False) -> None:
        """Find out who keeps the handles of ``suspects``; forgets whoever is no suspect any more."""
        ids = {lease.id for lease in suspects}
        known = {key: answer for key, answer in self._answers.items() if key in ids or answer.is_of_use()}
        self._answers = known.copy()
        due = [lease for lease in suspects if final or self._due(lease, now)]
        if not due:
            return
        handles = {key: lease for lease in due if (key := _handle_id(lease)) is not None}
        for lease in handles.values():
            self._answers.setdefault(lease.id, _Answer(lease, lease.user, "unknown", (), now))  # should the walk fail
        again = [known[lease.id] for lease in due if lease.id in known and lease.owner.has_ended()]
        far = not final and now >= self._far_after and any(not answer.far for answer in again)
        began = thread_time()
        living, whole, served = reach.by_living_frames(set(handles), _SECOND_EFFORT if far else 1)
        if far:
            self._far_after = now + _FAR_SHARE * (thread_time() - began)
        paths = reach.by_modules(set(handles) - living)
        served |= {key for key, kept in paths.items() if kept.served}
        self._served |= {handles[key].site for key in served if handles[key].site.counted is None}
        dark = {key: handles[key] for key in handles.keys() - living - paths.keys()} if whole else {}
        unseen = self._unseen(dark, known, now, final)
        for key, lease in handles.items():
            kept = paths.get(key)
            held_by = "living frame" if key in living else self._held_by(lease, kept, whole, unseen.get(key))
            before = known.get(lease.id)
            wait = _FIRST_WAIT if before is None else min(_LONGEST_WAIT, 2 * before.wait)
            if held_by == "unknown" and before is not None and before.far and before.user is lease.user:
                held_by = before.held_by  # a shorter walk does not see what the long one saw
            paths_told = (kept.path,) if kept else ()
            gone_far = before is not None and (far or before.far)
            self._answers[lease.id] = _Answer(lease, lease.user, held_by, paths_told, now + wait, wait, gone_far)

    def _unseen(self, dark: dict[int, Lease], known: dict[int, _Answer], now: float, final: bool) -> dict[int, str]:
        """Tell of handles that no walk has reached whether something out of sight keeps them; asks once, and seldom."""
        dark = {key: lease for key, lease in dark.items() if lease.owner.has_ended()}
        before = {key: known[lease.id] for key, lease in dark.items() if lease.id in known}
        told = {key: answer.held_by for key, answer in before.items() if answer.held_by in _TOLD_BELOW}
        fresh = [dark[key] for key in dark.keys() - told.keys()]
        if not fresh:
            return told
        if now < self._rest_until and not final:
            return told | dict.fromkeys(dark.keys() - told.keys(), "unknown")
        began = thread_time()
        unseen = kept_out_of_sight([handle for handle in [lease() for lease in fresh] if handle is not None])
        self._rest_until = now + _SHARE * (thread_time() - began)
        return told | dict.fromkeys(unseen, "unseen")

    def _due(self, lease: Lease, now: float) -> bool:
        answer = self._answers.get(lease.id)
        if answer is None or answer.again_at <= now:
            return True
        return answer.user is not lease.user and lease.owner.has_ended()

    def testify(self, frozen: model.Lease) -> model.Lease:
        """Add what is known of who keeps the handle."""
        answer = self._answers.get(frozen.id)
        if answer is None or answer.user.key != frozen.user.key:
            return frozen
        return replace(frozen, held_by=answer.held_by, retained_by=answer.retained_by)

    def _held_by(self, lease: Lease, kept: Kept | None, whole: bool, below: str | None) -> str:
        if kept is not None and kept.queued:
            return "queue"
        if kept is not None and kept.in_thread and lease.user.thread.has_ended():
            return "living thread"  # a thread that ends loses its own: it is another's
        if not whole:
            return "unknown"
        if kept is not None and kept.only_dead:
            return "dead frame"
        if kept is not None and kept.is_place:
            return "place"
        is_aside = kept is not None and kept.unnamed and lease.user is not lease.owner and lease.site in self._served
        return "aside" if is_aside else below or "other"


def _handle_id(lease: Lease) -> int | None:
    # for an instant this is a strong reference; the id alone goes on
    handle = lease()
    return None if handle is None else id(handle)


def note_unseen_use(lease: Lease, now: float) -> None:
    """Count what no hook sees as use of an idle lease: rows being fetched, statements of a driver's own cursor.

    Its user is inside the library, the driver says that it executes, or the socket has carried data.
    """
    carrier = lease.carrier()
    if carrier is None or lease.conn.inside is not None:
        return
    connection = driver.driver_connection(carrier)
    at_work = driver.is_executing(connection) or is_at_work(lease.user, connection)
    quiet = 0.0 if at_work else wire.quiet_for(connection)
    if quiet is not None and now - quiet > lease.used:
        lease.busy += now - quiet - lease.used
        lease.used = now - quiet


def is_listening(lease: Lease) -> bool:
    """Tell whether a lease's connection is held for notifications."""
    carrier = lease.carrier()
    return carrier is not None and driver.is_listening(driver.driver_connection(carrier))


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
