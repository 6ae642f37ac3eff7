"""Use by statement: the dialects' ``do_execute…`` methods are wrapped on their classes, one frame and no event."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from poolwatch.errors import CrossingError
from poolwatch.guard import Guard
from poolwatch.hooks.patch import patch
from poolwatch.ledger import Conn, Lease, Ledger

_HOOK = "sqlalchemy.execute"
_ledger: Ledger
_guard: Guard
_conns: dict[int, Conn]


def install(ledger: Ledger, guard: Guard) -> None:
    """See every statement of every dialect, those with methods of their own included."""
    global _ledger, _guard, _conns
    _ledger, _guard, _conns = ledger, guard, ledger.conns
    for dialect in _with_subclasses(DefaultDialect):
        wrap_dialect(dialect)


def wrap_dialect(dialect: Any) -> None:
    """Wrap the methods that a dialect class defines itself, once."""
    for name, wrapper in _WRAPPERS.items():
        method = vars(dialect).get(name)
        if method is not None and not hasattr(method, "__wrapped__"):
            patch(_guard, _HOOK, dialect, name, wrapper(method))


def _with_subclasses(root: Any) -> list[Any]:
    found = [root]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found


def _execute(original: Any) -> Any:
    def do_execute(self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> Any:
        lease = _enter(context, statement)
        if lease is None:
            return original(self, cursor, statement, parameters, context)
        try:
            return original(self, cursor, statement, parameters, context)
        finally:
            _ledger.leave(lease)

    return do_execute


def _execute_bare(original: Any) -> Any:
    def do_execute_no_params(self: Any, cursor: Any, statement: Any, context: Any = None) -> Any:
        lease = _enter(context, statement)
        try:
            return original(self, cursor, statement, context)
        finally:
            if lease is not None:
                _ledger.leave(lease)

    return do_execute_no_params


def _end_transaction(original: Any) -> Any:
    def do_end(self: Any, dbapi_connection: Any) -> Any:
        _touch(dbapi_connection)
        return original(self, dbapi_connection)

    return do_end


_WRAPPERS = {
    "do_execute": _execute,
    "do_executemany": _execute,
    "do_execute_no_params": _execute_bare,
    "do_commit": _end_transaction,
    "do_rollback": _end_transaction,
}


def lease_of(fairy: Any) -> Lease | None:
    """Give the lease of SQLAlchemy's connection proxy, also where it is detached."""
    record = fairy._connection_record
    if record is None:
        return _ledger.detached.get(id(fairy.dbapi_connection))
    conn = _conns.get(id(record))
    return None if conn is None else conn.lease


def _enter(context: Any, statement: Any) -> Lease | None:
    try:
        lease = lease_of(context.root_connection._dbapi_connection)
        if lease is None or not _ledger.enter(lease, statement):
            return None
        return lease
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(_HOOK, error)
        return None


def _touch(fairy: Any) -> None:
    try:
        conn = _conns.get(id(getattr(fairy, "_connection_record", None)))
        if conn is not None and conn.inside is not None and conn.lease is not None:
            _ledger.meet(conn.lease)
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(_HOOK, error)
