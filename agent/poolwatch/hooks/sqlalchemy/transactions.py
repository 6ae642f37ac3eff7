"""What the transaction of an ORM Session holds, what would be lost with it, and how it lets go of its connections.

A Session that goes on after its connection was given back must not find that out by an error. Nor must it commit as if
nothing had happened what was rolled back: who may have changed something must hear of it. So it is counted how often a
transaction's connection was given out, and for which of these it is proved that all it served was one Select.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import NestedTransaction
from sqlalchemy.orm.session import _sessions

from poolwatch.hooks.sqlalchemy.reads import only_reads
from poolwatch.hooks.sqlalchemy.statements import lease_of
from poolwatch.ledger import Lease
from poolwatch.senses import driver

_GIVEN, _READS = "_poolwatch_given", "_poolwatch_reads"


def session_of(lease: Lease) -> Any:
    """Give the Session that works on a lease, if there is one and it lives."""
    return _sessions.get(lease.session_key)


def leases(session: Any) -> list[Lease]:
    """Give the leases that a Session works on, the oldest first."""
    transaction = session.get_transaction()
    fairies = [connection._dbapi_connection for connection in _connections(transaction)] if transaction else []
    found = [lease_of(fairy) for fairy in fairies if fairy is not None]
    return sorted((lease for lease in found if lease is not None), key=lambda lease: lease.taken)


def _connections(transaction: Any) -> set[Any]:
    return {entry[0] for entry in list(transaction._connections.values())}


def has_joined(transaction: Any, connection: Any) -> bool:
    """Tell whether a Session's transaction takes part in one that was begun on its connection before, by others."""
    entry = transaction._connections[connection]
    began, commits, closes = entry[1], entry[2], entry[3]
    return not closes and not transaction.nested and (not commits or isinstance(began, NestedTransaction))


def note_given(transaction: Any) -> None:
    """Count that a Session's transaction gives out its connection: whoever has it may write."""
    transaction._poolwatch_given = getattr(transaction, _GIVEN, 0) + 1


def given(transaction: Any) -> int:
    """Give how often a transaction (or None) gave out its connection for what is not proved to be a read."""
    return getattr(transaction, _GIVEN, 0)


def note_read(transaction: Any, before: int, result: Any) -> None:
    """Take back the one giving out since ``before`` where it was for a statement that changes nothing."""
    if getattr(transaction, _GIVEN, 0) == before + 1 and only_reads(result):
        transaction._poolwatch_given = before
        transaction._poolwatch_reads = getattr(transaction, _READS, 0) + 1


def let_go(session: Any, failed: bool) -> None:
    """Give all connections of a Session back, if that loses nothing or it has ``failed``; else leave them.

    Its transaction goes on where it is proved that nothing was written: in a ``with session.begin():`` it must not end
    before the block.
    """
    transaction = session.get_transaction()
    if _has_only_read(session, transaction):
        _release(session._transaction)
        vars(transaction).pop(_READS, None)
        vars(transaction).pop(_GIVEN, None)
    elif failed:
        session.rollback()


def _has_only_read(session: Any, transaction: Any) -> bool:
    connections, held = _connections(transaction), leases(session)
    if all(connection._is_autocommit_isolation() for connection in connections):
        return True
    if len(held) == len(connections) and all(map(_is_clear, held)):
        return True
    sent = sum(lease.statements for lease in held)
    return len(held) == len(connections) and not given(transaction) and sent == getattr(transaction, _READS, 0)


def _is_clear(lease: Lease) -> bool:
    """Tell whether the driver says that no transaction is open, nor a statement under way."""
    handle = lease()
    connection = driver.driver_connection(handle) if handle is not None else None
    return driver.in_transaction(connection) is False and not driver.is_executing(connection)


def _release(innermost: Any) -> None:
    """Close the connections of a transaction; it opens others when it needs them."""
    levels = innermost._iterate_self_and_parents()
    entries = set(levels[-1]._connections.values())
    for level in levels:
        level._connections.clear()
    for connection, _, _, is_own in entries:
        if is_own:  # else the Session was bound to a connection of the application's
            connection.close()
