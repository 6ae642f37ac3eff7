"""SQLAlchemy: leases, waits and statements by wrapped methods, connections by pool events, Sessions by both.

No ConnectionEvents listener is used: one alone makes every statement some 14 µs slower, by whatever it does.
"""

from __future__ import annotations

import os

import sqlalchemy

from poolwatch.guard import Guard
from poolwatch.hooks.sqlalchemy import connects, engines, loans, pools, statements, waits
from poolwatch.ledger import Ledger
from poolwatch.senses.stack import treat_as_inside


def install(ledger: Ledger, guard: Guard) -> None:
    """Hook SQLAlchemy's engines, pools and dialects; ``guard`` remembers how to undo it."""
    treat_as_inside(os.path.dirname(sqlalchemy.__file__))
    statements.install(ledger, guard)
    engines.install(ledger, guard)
    pools.install(ledger, guard)
    loans.install(ledger, guard)
    waits.install(ledger, guard)
    connects.install(ledger, guard)
