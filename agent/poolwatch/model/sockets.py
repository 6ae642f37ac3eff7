"""Sockets: what pools speak through, and what looks like a pool's and is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolSocket:
    """The socket of a pooled connection; ``local`` is its own ``address:port``, empty until it was looked at."""

    inode: int
    """The system's number for it; whoever has the same number has the same socket."""
    local: str = ""


@dataclass(frozen=True, slots=True)
class SuspectSocket:
    """A socket to a pool's server that no pool accounts for, or (``pooled``) one in a pool that the server closed."""

    pool: str
    library: str
    pooled: bool
    fd: int
    inode: int
    local: str
    peer: str
    state: str
    """As psutil names it: ESTABLISHED, CLOSE_WAIT."""
    seen_seconds: float = 0.0
    """Since it was first seen so."""
    in_use: bool = False
    """True where somebody has the connection in hand."""
