"""How SQLAlchemy's connections are given back in their owner's stead, and replaced in a forked child."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from poolwatch.ledger import Ledger

_inherited: list[Any] = []
"""Connections of the parent's: kept for good, because a finalizer could tell the server that they end."""


def give_back(fairy: Any) -> Coroutine[Any, Any, object] | None:
    """Close SQLAlchemy's connection proxy; on an async engine, in what is to be awaited."""
    if fairy._pool._dialect.is_async:
        from sqlalchemy.util import greenlet_spawn  # imports greenlet, which a sync program can do without

        return greenlet_spawn(fairy.close)
    fairy.close()
    return None


def drop_inherited(ledger: Ledger, record: Any) -> None:
    """Let go of a connection that was opened before a fork and is the parent's: SQLAlchemy will connect anew."""
    _inherited.append(record.dbapi_connection)
    record.dbapi_connection = None
    ledger.remedied.append("protect_fork")
