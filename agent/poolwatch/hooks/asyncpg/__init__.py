"""asyncpg: leases by the wrapped ``Pool._acquire`` and ``Connection._on_release``, use by wrapped methods.

A connection without a pool is no lease; only two tasks inside it, or a foreign loop, are reported. Connections that
SQLAlchemy opened are left to SQLAlchemy's hook.
"""

from __future__ import annotations

import os

import asyncpg

from poolwatch.hooks.asyncpg import leases, statements
from poolwatch.hooks.register import Register
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses.stack import treat_as_inside


def install(ledger: Ledger, guard: Guard) -> None:
    """Hook asyncpg's pool and connection classes; ``guard`` remembers how to undo it."""
    treat_as_inside(os.path.dirname(asyncpg.__file__))
    register = Register(ledger, guard, "asyncpg")
    leases.install(register)
    statements.install(register)
