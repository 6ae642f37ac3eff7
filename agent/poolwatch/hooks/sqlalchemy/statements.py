"""Use by statement: the dialects' ``do_execute…`` methods are wrapped on their classes, one frame and no event."""

from __future__ import annotations

from time import monotonic
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from poolwatch.errors import CrossingError
from poolwatch.hooks.patch import patch
from poolwatch.host.guard import Guard, is_hosts
from poolwatch.ledger import Conn, Lease, Ledger
from poolwatch.senses.actor import current

_HOOK = "sqlalchemy.execute"
_ledger: Ledger
_guard: Guard


def install(ledger: Ledger, guard: Guard) -> None:
    """See every statement of every dialect, those with methods of their own included."""
    global _ledger, _guard
    _ledger, _guard = ledger, guard
    for dialect in with_subclasses(DefaultDialect):
        wrap_dialect(dialect)


def wrap_dialect(dialect: Any) -> None:
    """Wrap the methods that a dialect class defines itself, once."""
    if _guard.is_out(_HOOK):
        return
    for name, wrapper in _WRAPPERS.items():
        method = vars(dialect).get(name)
        if method is not None and not hasattr(method, "__wrapped__"):
            patch(_guard, _HOOK, dialect, name, wrapper(method))


def with_subclasses(root: Any) -> list[Any]:
    """Give a class and all that derive from it."""
    found = [root]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found


def _execute(original: Any) -> Any:
    def do_execute(self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> Any:
        if context is None:
            return original(self, cursor, statement, parameters)
        try:
            conn = context.root_connection._dbapi_connection._connection_record._poolwatch
            lease = conn.lease
            if lease is None or conn.inside is not None or conn.foreign or lease.user is not (me := current()):
                lease = lease if lease is not None and _ledger.enter(lease, statement) else None
            else:  # the common case, in place: the one who used it last executes, and nobody else is inside
                conn.since = monotonic()  # the last call: what a signal handler raises after it would leave us inside
                lease._statement = statement
                conn.inside = me
        except AttributeError as error:  # of a detached connection, or one that is not known
            if is_hosts(error):
                raise
            lease = _enter_slowly(context, statement)
            if lease is not None:
                conn = lease.conn
        except CrossingError:
            raise
        except Exception as error:
            _guard.failed(_HOOK, error)
            lease = None
        if lease is None:
            return original(self, cursor, statement, parameters, context)
        try:
            return original(self, cursor, statement, parameters, context)
        finally:  # as Ledger.leave, in place
            conn.inside = None
            lease.used = now = monotonic()
            lease.busy += now - conn.since
            lease.statements += 1

    return do_execute


def _execute_bare(original: Any) -> Any:
    def without(self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> Any:
        return original(self, cursor, statement, context)

    watched = _execute(without)

    def do_execute_no_params(self: Any, cursor: Any, statement: Any, context: Any = None) -> Any:
        if context is None:
            return original(self, cursor, statement)
        return watched(self, cursor, statement, None, context)

    return do_execute_no_params


def _commit(original: Any) -> Any:
    def do_commit(self: Any, dbapi_connection: Any) -> None:
        original(self, dbapi_connection)
        try:
            settle(dbapi_connection)
        except Exception as error:
            _guard.failed(_HOOK, error)

    return do_commit


_WRAPPERS = {
    "do_commit": _commit,
    "do_execute": _execute,
    "do_executemany": _execute,
    "do_execute_no_params": _execute_bare,
}


def settle(fairy: Any) -> None:
    """Note that what was done on SQLAlchemy's connection proxy so far is committed or rolled back."""
    lease = lease_of(fairy)
    if lease is not None:
        _ledger.settled(lease)


def conn_of(record: Any) -> Conn | None:
    """Give what is known of a record's physical connection."""
    conn: Conn | None = vars(record).get("_poolwatch")
    return conn


def lease_of(fairy: Any) -> Lease | None:
    """Give the lease of SQLAlchemy's connection proxy, also where it is detached."""
    record = fairy._connection_record
    if record is None:
        return _ledger.detached.get(id(fairy.dbapi_connection))
    conn = conn_of(record)
    return None if conn is None else conn.lease


def _enter_slowly(context: Any, statement: Any) -> Lease | None:
    try:
        lease = lease_of(context.root_connection._dbapi_connection)
        return lease if lease is not None and _ledger.enter(lease, statement) else None
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(_HOOK, error)
        return None


__name__ = "sqlalchemy." + __name__  # its warnings are told of the first line that is not of such a module
