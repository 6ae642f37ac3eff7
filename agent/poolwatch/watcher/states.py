"""What the drivers said at the last look of the leases that are out: a transaction is open, a backend serves them."""

from __future__ import annotations

from operator import attrgetter

from poolwatch.ledger import Lease
from poolwatch.senses import driver

MOST_ASKED = 200
"""Leases beside the suspects that are asked about at a look, so that ten thousand cost no more than these."""
_SHORT_AGE = 0.1
"""Seconds; what is younger may be back before anybody reads of it."""
_taken = attrgetter("taken")


class States:
    """Asks at every look, and remembers until the next: a report may be asked for by any thread."""

    def __init__(self) -> None:
        self._known: dict[int, driver.State] = {}

    def ask(self, suspects: dict[int, Lease], out: list[Lease], now: float) -> None:
        """Ask about all ``suspects``, by id, and about the oldest of the other leases that are ``out``."""
        oldest = sorted(out, key=_taken)[:MOST_ASKED] if len(out) > MOST_ASKED else out
        known = self._known
        others = [lease for lease in oldest if now - lease.taken >= _SHORT_AGE or lease.id in known]
        asked = {**suspects, **{lease.id: lease for lease in others}}
        self._known = {key: driver.state(lease.carrier(), known.get(key)) for key, lease in asked.items()}

    def of(self, lease: Lease) -> driver.State:
        """Give what was said of a lease."""
        return self._known.get(lease.id, driver.UNKNOWN)
