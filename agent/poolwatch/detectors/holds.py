"""Connections that are held without being used."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.config import Config
from poolwatch.detectors.facts import of_lease, seconds, sentence
from poolwatch.model import Finding, Snapshot


def idle_in_transaction(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """A transaction is open and nothing has run for too long: suspected."""
    for lease in snapshot.leases:
        if lease.returned or lease.executing or not lease.in_transaction:
            continue
        if lease.idle_seconds >= config.idle_in_transaction_after:
            yield of_lease(
                snapshot,
                lease,
                "hold.idle_in_transaction",
                "suspected",
                f"{sentence(lease.user)} keeps a transaction open and has run nothing for "
                f"{seconds(lease.idle_seconds)}.",
                "Commit or roll back before waiting for anything else: an open transaction holds locks too.",
            )
