"""psycopg_pool: leases by wrapped ``getconn`` and ``putconn``, use by wrapped ``Connection.wait``.

Two threads or tasks on one psycopg connection are no ``crossing.concurrent``: psycopg documents its connections as
safe to share and serialises what they send. What nobody serialises are transactions. So a connection that another
user finds between two transactions changes hands quietly, and one that is found inside the transaction of somebody
else is followed as every lease is, which may end in ``crossing.interleaved``.

A connection that is dropped while lent is lost to a limited pool for good, without a word from the library; it goes
on counting as used, as the pool itself counts it.
"""

from __future__ import annotations

import os

import psycopg
import psycopg_pool

from poolwatch.hooks.psycopg_pool import leases, places, pools, remedies, statements
from poolwatch.hooks.register import Register
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses.stack import treat_as_inside


def install(ledger: Ledger, guard: Guard) -> None:
    """Hook the pools' classes and psycopg's connections; ``guard`` remembers how to undo it."""
    for package in (psycopg, psycopg_pool):
        treat_as_inside(os.path.dirname(str(package.__file__)))
    register = Register(ledger, guard, "psycopg_pool")
    pools.install(register)
    places.install(register)
    leases.install(register)
    statements.install(register)
    remedies.install(register)
