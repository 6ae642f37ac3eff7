"""How SQLAlchemy's connections are given back in their owner's stead, and replaced in a forked child."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NoReturn

from sqlalchemy.exc import DisconnectionError

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


def replace_inherited(ledger: Ledger, record: Any, fairy: Any) -> NoReturn:
    """Make SQLAlchemy connect anew, as its documentation does in a forked child; raises DisconnectionError."""
    _inherited.append(record.dbapi_connection)
    record.dbapi_connection = fairy.dbapi_connection = None
    ledger.remedied.append("protect_fork")
    raise DisconnectionError("the connection was opened before a fork and belongs to the parent process")
