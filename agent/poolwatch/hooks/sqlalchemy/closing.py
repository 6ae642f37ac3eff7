"""A forked child closes its parent's connection, as ``engine.dispose()`` does: drivers tell the server that it ends."""

from __future__ import annotations

import os
import sys
from typing import Any

from poolwatch.ledger import Conn, Event, Ledger, crossing
from poolwatch.senses import sockets
from poolwatch.senses.actor import current


def report_foreign(ledger: Ledger, record: Any, conn: Conn) -> None:
    """Report the close of a record's connection, which another process has opened; in strict mode raise it.

    Silent where it harms nobody: a file, a session that the server has ended already, the end of the interpreter.
    """
    if conn.reported or sys.is_finalizing() or sockets.is_cut(record.driver_connection):
        return
    is_first = not any(other.reported for other in list(ledger.conns.values()) if other.pool is conn.pool)
    conn.reported = not crossing.is_strict(ledger, conn.pool)
    me, where = current(), ledger.here(2)
    event = Event("process", conn.pool, None, (me, where), (me, where))
    event.overlap = False  # whether the parent wanted it still, only the parent knows
    event.detail = f"opened in process {conn.foreign}, closed in process {os.getpid()}, which ends it for both"
    try:
        crossing.report(ledger, event)
    finally:
        if is_first:
            ledger.look_now()
