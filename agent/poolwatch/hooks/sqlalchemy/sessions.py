"""One Session in two hands: overlap is measured around the methods that touch the database.

They are private ones where there is a choice: the public ones keep their signatures.

A Session has no connection while it provisions one, and SQLAlchemy is silent when a warm pool makes that fast, so
the overlap of statements alone would miss most of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session, SessionTransaction

from poolwatch.errors import CrossingError
from poolwatch.guard import Guard
from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy.engines import home_of
from poolwatch.hooks.sqlalchemy.statements import lease_of
from poolwatch.ledger import Lease, Ledger, Pool, crossing
from poolwatch.senses.actor import Actor, current

_HOOK = "sqlalchemy.session"
_SESSION_METHODS = ("_execute_internal", "_flush", "_close_impl")
_TRANSACTION_METHODS = ("commit", "rollback")
_PROVISION = "_connection_for_bind"
_ledger: Ledger
_guard: Guard
_inside: dict[int, Actor] = {}


def install(ledger: Ledger, guard: Guard) -> None:
    """See which lease a Session works on and who is inside it."""
    global _ledger, _guard
    _ledger, _guard = ledger, guard
    patch(guard, _HOOK, SessionTransaction, _PROVISION, _provisioned(getattr(SessionTransaction, _PROVISION)))
    for name in _SESSION_METHODS:
        patch(guard, _HOOK, Session, name, _watched(getattr(Session, name), False))
    for name in _TRANSACTION_METHODS:
        patch(guard, _HOOK, SessionTransaction, name, _watched(getattr(SessionTransaction, name), True))


def _provisioned(original: Any) -> Any:
    def _connection_for_bind(self: Any, bind: Any, *args: Any, **kwargs: Any) -> Any:
        had = len(self._connections)
        connection = original(self, bind, *args, **kwargs)
        if len(self._connections) != had:
            _note(self.session, connection)
        return connection

    return _connection_for_bind


def _note(session: Any, connection: Any) -> None:
    """Note on the lease that a Session holds it."""
    try:
        lease = lease_of(connection._dbapi_connection)
        if lease is not None:
            lease.own().session = type(session).__name__
    except Exception as error:
        _guard.failed(_HOOK, error)


def _watched(original: Any, of_transaction: bool) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        session = self.session if of_transaction else self
        if not _enter(session):
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            _inside.pop(id(session), None)

    return method


def _enter(session: Any) -> bool:
    """Mark who is inside ``session``; false where somebody is already, the same actor or another."""
    try:
        me = current()
        there = _inside.get(id(session))
        if there is None or there.has_ended():
            _inside[id(session)] = me
            return True
        if there is not me:
            _meet(session, there, me)
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(_HOOK, error)
    return False


def _meet(session: Any, there: Actor, me: Actor) -> None:
    lease = next(_leases(session), None)
    pool = lease.conn.pool if lease else _pool(session)
    crossing.of_session(_ledger, pool, lease, there, me, type(session).__name__)


def _leases(session: Any) -> Iterator[Lease]:
    transaction = session.get_transaction()
    if transaction is None:
        return
    for connection in {entry[0] for entry in list(transaction._connections.values())}:
        fairy = connection._dbapi_connection
        lease = lease_of(fairy) if fairy is not None else None
        if lease is not None:
            yield lease


def _pool(session: Any) -> Pool:
    engine = getattr(session.bind, "engine", None)
    return home_of(engine.pool).pool if engine is not None else Pool("(session)", "sqlalchemy", type(session).__name__)
