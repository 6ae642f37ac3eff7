"""One Session in two hands: overlap is measured around the methods that touch the database.

They are private ones where there is a choice: the public ones keep their signatures.

A Session has no connection while it provisions one, and SQLAlchemy is silent when a warm pool makes that fast, so
the overlap of statements alone would miss most of these.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session, SessionTransaction

from poolwatch.errors import CrossingError
from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy import transactions
from poolwatch.hooks.sqlalchemy.engines import home_of
from poolwatch.hooks.sqlalchemy.reads import SELECTS
from poolwatch.hooks.sqlalchemy.statements import lease_of
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger, Pool, crossing
from poolwatch.senses.actor import current
from poolwatch.senses.actors import Actor
from poolwatch.senses.behind import waits_for_me

_HOOK = "sqlalchemy.session"
_EXECUTE, _SCALAR = "_execute_internal", "_scalar_result"
_FLUSH = "_flush"
_CLOSE = "_close_impl"
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
    patch(guard, _HOOK, Session, _EXECUTE, _executing(getattr(Session, _EXECUTE)))
    patch(guard, _HOOK, Session, _FLUSH, _watched(getattr(Session, _FLUSH), False))
    patch(guard, _HOOK, Session, _CLOSE, _watched(getattr(Session, _CLOSE), False))
    for name in _TRANSACTION_METHODS:
        patch(guard, _HOOK, SessionTransaction, name, _watched(getattr(SessionTransaction, name), True))


def _provisioned(original: Any) -> Any:
    def _connection_for_bind(self: Any, bind: Any, *args: Any, **kwargs: Any) -> Any:
        had = len(self._connections)
        connection = original(self, bind, *args, **kwargs)
        _note_given(self)
        if len(self._connections) != had:
            _note(self, connection)
        return connection

    return _connection_for_bind


def _note_given(transaction: Any) -> None:
    try:
        transactions.note_given(transaction)
    except Exception as error:
        _guard.failed(_HOOK, error)


def _note(transaction: Any, connection: Any) -> None:
    """Note on the lease that a Session holds it."""
    try:
        lease = lease_of(connection._dbapi_connection)
        if lease is not None:
            session = transaction.session
            lease._session = type(session).__name__, session.hash_key
            if lease.more.scope is None and transactions.has_joined(transaction, connection):
                lease.own().common = True  # who took it, outside of all flows, has them work in his transaction
    except Exception as error:
        _guard.failed(_HOOK, error)


def _executing(original: Any) -> Any:
    def _execute_internal(self: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        # what is done with a scalar's result is done here instead: of the scalar nobody can tell what gave it
        scalar = _SCALAR in kwargs and issubclass(type(statement), SELECTS) and kwargs.pop(_SCALAR)
        before = _given(self)
        key = _enter(self)
        try:
            result = original(self, statement, *args, **kwargs)
            if before is not None:
                _note_read(self, before, result)
            return result.scalar() if scalar else result
        finally:
            if key:
                _inside.pop(key, None)

    return _execute_internal


def _given(session: Any) -> int | None:
    try:
        return transactions.given(session._transaction)
    except Exception as error:
        _guard.failed(_HOOK, error)
        return None


def _note_read(session: Any, before: int, result: Any) -> None:
    try:
        transactions.note_read(session._transaction, before, result)
    except Exception as error:
        _guard.failed(_HOOK, error)


def _watched(original: Any, of_transaction: bool) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        session = self.session if of_transaction else self
        key = _enter(session)
        if not key:
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            _inside.pop(key, None)

    return method


def _enter(session: Any) -> int:
    """Mark who is inside ``session``, by the key given; 0 where somebody is already, the same actor or another."""
    try:
        me = current()
        key = id(session)
        there = _inside.get(key)
        if there is None or there.has_ended():
            _inside[key] = me
            return key
        if there is not me and not waits_for_me(there):
            _meet(session, there, me)
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(_HOOK, error)
    return 0


def _meet(session: Any, there: Actor, me: Actor) -> None:
    lease = next(iter(transactions.leases(session)), None)
    pool = lease.conn.pool if lease else _pool(session)
    crossing.of_session(_ledger, pool, lease, there, me, type(session).__name__)


def _pool(session: Any) -> Pool:
    engine = getattr(session.bind, "engine", None)
    return home_of(engine.pool).pool if engine is not None else Pool("(session)", "sqlalchemy", type(session).__name__)


__name__ = "sqlalchemy." + __name__  # its warnings are told of the first line that is not of such a module
