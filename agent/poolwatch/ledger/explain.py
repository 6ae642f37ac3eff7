"""What strict mode says: a crossing in words, with both owners and where each of them was, or what was left out."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.ledger.leases import Lease
from poolwatch.ledger.records import Event
from poolwatch.senses import stack
from poolwatch.senses.actors import Actor
from poolwatch.senses.stack import Raw

_FRAMES = 8
"""Frames shown of each stack; with their source lines both stacks stay below 40 lines."""


def explain(event: Event) -> str:
    """Say who met whom, and where; rare and slow."""
    met = f"{event.culprit.kind} {event.culprit.rename()!r} met {event.victim.kind} {event.victim.rename()!r}"
    lines = [f"crossing.{event.kind} on pool {event.pool.name!r}: {event.detail or met}"]
    lines += _where(event.victim, event.victim_stack)
    if event.culprit is not event.victim or event.culprit_stack != event.victim_stack:
        lines += _where(event.culprit, event.culprit_stack)
    return "\n".join(lines)


def taken(lease: Lease) -> str:
    """Say which connection it is that was not given back, and where it was taken."""
    where = stack.site(lease.site.code, lease.site.offset) if lease.site.code else "an unknown line"
    return f"a connection of pool {lease.conn.pool.name!r} taken at {where}"


def _where(actor: Actor, raw: Raw) -> Iterator[str]:
    yield f"{actor.kind} {actor.rename()!r}:"
    for frame in stack.frames(raw[:_FRAMES]):
        yield f'  File "{frame.file}", line {frame.line}, in {frame.function}'
        source = stack.source_line(frame.file, frame.line)
        if source:
            yield f"    {source}"
