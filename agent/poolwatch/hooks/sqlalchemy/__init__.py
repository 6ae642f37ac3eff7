"""SQLAlchemy: connections, leases, waits, statements and Sessions, all by wrapped methods.

No listener is used. One of ConnectionEvents alone makes every statement some 14 µs slower, by whatever it does, and
none can be put in or out while other threads go through the list that it is in.
"""

from __future__ import annotations

import gc
import os

import sqlalchemy
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool

from poolwatch.hooks.sqlalchemy import engines, loans, pools, rollbacks, statements, waits
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses.stack import treat_as_inside


def install(ledger: Ledger, guard: Guard) -> None:
    """Hook SQLAlchemy's engines, pools and dialects; ``guard`` remembers how to undo it."""
    treat_as_inside(os.path.dirname(sqlalchemy.__file__))
    statements.install(ledger, guard)
    rollbacks.install(ledger, guard)
    engines.install(ledger, guard)
    pools.install(ledger, guard)
    loans.install(ledger, guard)
    waits.install(ledger, guard)
    wanted = {Engine, *statements.with_subclasses(QueuePool)}
    # those made before; ``isinstance`` would ask proxies, and they whom they stand for
    for made in [made for made in gc.get_objects() if type(made) in wanted]:
        if type(made) is Engine:
            engines.see(made)
        else:
            waits.see(made)
