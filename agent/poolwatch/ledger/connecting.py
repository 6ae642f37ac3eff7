"""Connects that are under way: a socket that a pool is about to own looks like nobody's until they are over."""

from __future__ import annotations

from time import monotonic

from poolwatch.ledger.ledger import Ledger


class Connecting:
    """Lasts as long as one connect; compared by identity."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __enter__(self) -> None:
        self._ledger.connecting[self] = monotonic()

    def __exit__(self, *error: object) -> None:
        self._ledger.connecting.pop(self, None)
