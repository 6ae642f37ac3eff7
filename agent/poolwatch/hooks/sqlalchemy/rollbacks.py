"""Rollbacks that the application asks for: who uses the connection next does not step into another's work.

Not ``do_rollback``, which SQLAlchemy calls at every return of a connection, where nobody needs to know.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import RootTransaction

from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy.statements import settle
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger

_HOOK = "sqlalchemy.rollback"
_guard: Guard


def install(ledger: Ledger, guard: Guard) -> None:
    """See every rollback of an outermost transaction."""
    global _guard
    _guard = guard
    patch(guard, _HOOK, RootTransaction, "_do_rollback", _rollback(RootTransaction._do_rollback))


def _rollback(original: Any) -> Any:
    def _do_rollback(self: Any) -> None:
        active = self.is_active
        original(self)
        if active:
            _note(self.connection)

    return _do_rollback


def _note(connection: Any) -> None:
    try:
        fairy = connection._dbapi_connection
        if fairy is not None:
            settle(fairy)
    except Exception as error:
        _guard.failed(_HOOK, error)


__name__ = "sqlalchemy." + __name__  # its warnings are told of the first line that is not of such a module
