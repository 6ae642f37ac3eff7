"""Who, where and what is lent: owners, sites, leases, waits and crossings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

OwnerKind = Literal["thread", "task", "greenlet"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack; ``library`` is true outside the application's own code."""

    file: str
    line: int
    function: str
    library: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """The application frame that took a lease."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who took or uses a lease: process, thread and, where there is one, task or greenlet.

    ``kind`` says which of the three is the narrowest; ``ended_for`` is 0.0 while ``alive``.
    """

    pid: int
    thread: str
    kind: OwnerKind = "thread"
    thread_id: int = 0
    task: str | None = None
    greenlet: str | None = None
    loop: str | None = None
    scope: str | None = None
    trace_id: str | None = None
    alive: bool = True
    scope_attributes: str | None = None
    """What the application said of the scope, as in "day=monday, number=3"."""
    JSON: ClassVar = (
        "pid", "thread", "thread_id", "task", "greenlet", "key", "loop", "scope", "scope_attributes", "trace_id",
        "alive",
    )  # fmt: skip
    ended_for: float = 0.0
    key: int = 0
    """Identity within its process: two values with the same key are the same owner."""
    traceparent: str | None = None
    """Trace, span and flags as W3C writes them."""
    mark: str = ""
    """What is said behind the name where somebody else has the same; see ``told_apart``."""

    def __str__(self) -> str:
        inner = self.task or self.greenlet
        name = f"{self.kind} {inner}{self.mark} on thread" if inner else "thread"
        return f"{name} {self.thread}{'' if inner else self.mark} (pid {self.pid})"


def told_apart(*people: Owner) -> tuple[Owner, ...]:
    """Give those who are named together, each with its key behind the name where others have the same.

    A thread's ident would not do: the next thread gets that of one that has ended.
    """
    keys: dict[str, set[int]] = {}
    for one in people:
        keys.setdefault(str(one), set()).add(one.key)
    return tuple(replace(one, mark=f" #{one.key}") if len(keys[str(one)]) > 1 else one for one in people)


_HANDED_OVER = {"living frame", "living thread", "queue"}


@dataclass(frozen=True, slots=True)
class Lease:
    """One loan of one connection, from checkout to checkin, as it is now.

    ``held_by``: what a bounded walk found to reach the handle, for suspects only: ``"living frame"``, ``"living
    thread"`` (its locals) or ``"queue"`` (handed over), ``"dead frame"`` (only the dead owner's own frame or
    traceback), ``"aside"`` (something without names, while others of its line lie in a queue), ``"place"``
    (a plain name that other code reads), ``"other"``,
    ``"unknown"`` (there was too much to look through), ``"unseen"`` (something that the collector does not know);
    None where nobody looked.
    """

    id: int
    pool: str
    library: str
    owner: Owner
    user: Owner
    age_seconds: float
    idle_seconds: float
    site: Site | None
    statements: int = 0
    busy_seconds: float = 0.0
    executing: bool = False
    last_statement: str | None = None
    listens: bool = False
    """True where the driver calls the application for notifications that come in by this connection."""
    in_transaction: bool | None = None
    backend_pid: int | None = None
    detached: bool = False
    collected: bool = False
    session: str | None = None
    shared: bool = False
    held_by: str | None = None
    retained_by: tuple[str, ...] = ()
    home: int = 0
    """Serial of the pool object it belongs to; a pool that is disposed of goes on as another object."""
    attached: bool = True
    """False once the call or context in which it was taken is over, though its thread lives."""
    returned: bool = False
    scope_ended_for: float = 0.0
    """Seconds since the flow it was taken in was over; 0 while it goes on, and where nobody named one."""
    remedy: str | None = None
    """What of poolwatch gave it back in its owner's stead."""
    scope_must_return: bool = False
    """True where that flow may hand nothing on: a test, or a block that expects no leaks."""
    passed_on: bool = False
    """True where somebody used it after all who had it before had ended: it lies where others find it."""
    JSON: ClassVar = (
        "id", "pool", "library", "age_seconds", "idle_seconds", "owner", "user", "site", "statements", "busy_seconds",
        "last_statement", "in_transaction", "backend_pid", "detached",
    )  # fmt: skip

    @property
    def handed_over(self) -> bool:
        """Tell whether somebody else than its owner has it, or will."""
        return self.held_by in _HANDED_OVER


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody who waits for a pool now, or has just given up."""

    pool: str
    owner: Owner
    waited_seconds: float
    id: int = 0
    on_loop: bool = False
    """True where a blocking wait runs on an event loop's thread."""
    home: int = 0
    """Serial of the pool object waited for; 0 where the pool has only one."""
    timed_out: bool = False
    done: bool = False
    site: Site | None = None
    stack: tuple[Frame, ...] = ()
    holders: tuple[Lease, ...] = ()
    """What was out when the waiter gave up."""
    waiting_owners: tuple[int, ...] = ()
    """Keys of the owners that waited for the pool at that moment."""


IncidentKind = Literal["concurrent", "interleaved", "session", "process", "loop", "transport", "route", "flow"]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something seen at one moment inside a hook: somebody touched what another holds."""

    kind: IncidentKind
    lease: Lease | None
    pool: str
    library: str
    victim: Owner
    culprit: Owner
    at: float
    overlap: bool
    site: Site | None = None
    victim_stack: tuple[Frame, ...] = ()
    culprit_stack: tuple[Frame, ...] = ()
    detail: str = ""
