"""Sockets to a database that belong to no pool, and sockets in a pool that the server has closed."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.config import Config
from poolwatch.detectors.facts import pool_facts, pool_of, seconds
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Json, Snapshot, SuspectSocket


def orphan(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """A socket to a pool's server is in no pool, or one in a pool is dead, at several looks in a row: probable."""
    pools = {socket.pool: socket.library for socket in snapshot.sockets}
    for pool, library in pools.items():
        found = [socket for socket in snapshot.sockets if socket.pool == pool]
        strays = [socket for socket in found if not socket.pooled]
        dead = [socket for socket in found if socket.pooled and not socket.in_use]
        lent = [socket for socket in found if socket.pooled and socket.in_use]
        state = pool_of(snapshot, pool)
        yield Finding(
            kind="orphan.socket",
            grade="probable",
            pool=pool,
            library=library,
            summary=" ".join([*_say_strays(strays), *_say_dead(dead, "in the pool"), *_say_dead(lent, "in use")]),
            hint=" ".join(
                [
                    *([hint("orphan.socket")] if strays else []),
                    *([hint("orphan.socket", "dead socket")] if dead else []),
                    *([hint("orphan.socket", "dead in use")] if lent else []),
                ]
            ),
            lease={
                "sockets": [_facts(socket) for socket in found],
                "pool": pool_facts(state) if state else {},
                "versions": dict(snapshot.process.versions),
            },
            subjects=frozenset(-socket.inode for socket in found),  # below zero, where no lease has its number
        )


def _say_strays(strays: list[SuspectSocket]) -> list[str]:
    if not strays:
        return []
    oldest = seconds(max(socket.seen_seconds for socket in strays))
    peers = " and ".join(sorted({socket.peer for socket in strays}))
    if len(strays) == 1:
        return [f"A connection to {peers} belongs to no pool; seen for {oldest}."]
    return [f"{len(strays)} connections to {peers} belong to no pool; the oldest seen for {oldest}."]


def _say_dead(dead: list[SuspectSocket], where: str) -> list[str]:
    if not dead:
        return []
    oldest = seconds(max(socket.seen_seconds for socket in dead))
    if len(dead) == 1:
        return [f"A connection {where} is dead: the server has closed it; seen for {oldest}."]
    return [f"{len(dead)} connections {where} are dead: the server has closed them; the oldest seen for {oldest}."]


def _facts(socket: SuspectSocket) -> Json:
    return {
        "fd": socket.fd,
        "inode": socket.inode,
        "local": socket.local,
        "peer": socket.peer,
        "state": socket.state,
        "pooled": socket.pooled,
        "seen_seconds": socket.seen_seconds,
    }
