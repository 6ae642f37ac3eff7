"""How SQLAlchemy's connections are given back in their owner's stead, and replaced in a forked child."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NoReturn

from sqlalchemy.exc import ResourceClosedError
from sqlalchemy.pool.base import _ConnectionFairy

from poolwatch.hooks.sqlalchemy.statements import lease_of
from poolwatch.ledger import Lease, Ledger
from poolwatch.remedies import after_error

_inherited: list[Any] = []
"""Connections of the parent's: kept for good, because a finalizer could tell the server that they end."""


class _GivenBack(_ConnectionFairy):
    """What becomes of a connection proxy that somebody may still use: it says why that cannot be."""

    __slots__ = ()

    def cursor(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise ResourceClosedError."""
        raise ResourceClosedError(
            "poolwatch gave this connection back to its pool, because whoever took it had ended without doing so; "
            "what was not committed is rolled back. Take another one; of a Session, call rollback() first"
        )

    commit = cursor


def give_back(fairy: Any) -> Coroutine[Any, Any, object] | None:
    """Return a connection to SQLAlchemy's pool; on an async engine, in what is to be awaited."""
    failed = after_error.get()
    if fairy._pool._dialect.is_async:
        from sqlalchemy.util import greenlet_spawn  # imports greenlet, which a sync program can do without

        return greenlet_spawn(_give_back, fairy, failed)
    _give_back(fairy, failed)
    return None


def _give_back(fairy: Any, failed: bool) -> None:
    lease = lease_of(fairy)
    if lease is None or not lease.session_key or not _through_session(lease, failed):
        _close(fairy)


def _through_session(lease: Lease, failed: bool) -> bool:
    """Have a Session let go of all its connections, or wait until it lets go of the first; false where it must not."""
    from poolwatch.hooks.sqlalchemy import transactions  # imports the ORM, as whoever has a Session did

    session = transactions.session_of(lease)
    held = transactions.leases(session) if session is not None else []
    if not any(each is lease for each in held) or not all(_goes_with(each, held[0]) for each in held):
        return False
    if lease is not held[0]:
        return held[0].more.remedy is not None  # else that one was taken before the fiber
    fairies = [each() for each in held]
    for each in held:
        each.own().remedy = lease.more.remedy
    try:
        transactions.let_go(session, failed)
    finally:
        for fairy in fairies:
            _close(fairy)
    return True


def _goes_with(other: Lease, first: Lease) -> bool:
    return other.user is first.user and other.conn.inside in (None, first.user)


def _close(fairy: Any) -> None:
    if fairy is not None and fairy.is_valid:
        fairy.close()
        fairy.__class__ = _GivenBack


def drop_inherited(ledger: Ledger, record: Any) -> None:
    """Let go of a connection that was opened before a fork and is the parent's: SQLAlchemy will connect anew."""
    _inherited.append(record.dbapi_connection)
    record.dbapi_connection = None
    ledger.remedied.append("protect_fork")
