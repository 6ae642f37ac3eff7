"""Which pool is which: names by engine, limits by class, one entry for an engine's pools over ``dispose()``."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import URL, Dialect, Engine
from sqlalchemy.pool import AssertionPool, NullPool, QueuePool, SingletonThreadPool, StaticPool

from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy.statements import wrap_dialect
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger, Pool
from poolwatch.ledger.pools import Home
from poolwatch.senses import marks

_HOOK = "sqlalchemy.engine"
_LOOPLESS_DRIVERS = {"aiosqlite"}
_ODBC_WORD = re.compile(r"(\w+)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)(?:;|$)")
"""One of a connection string; a password may hold anything, in braces."""
_ledger: Ledger
_guard: Guard


at_first_sight: list[Callable[[Any], None]] = []
"""Called with each pool that was not seen when it was made, as it lends for the first time."""
_by_dialect: weakref.WeakKeyDictionary[Any, Pool] = weakref.WeakKeyDictionary()


def home_of(physical: Any) -> Home:
    """Give the home of a SQLAlchemy pool; makes one at first sight."""
    home = _known(physical)
    if home is None:
        home = _new_home(_logical(physical), physical)
        for call in at_first_sight:
            call(physical)
    return home


def _known(physical: Any) -> Home | None:
    home = _ledger.homes.get(id(physical))
    return home if home is not None and home.ref() is physical else None


def _new_home(pool: Pool, physical: Any) -> Home:
    home = Home(pool)
    was, number = id(physical), home.serial
    home.ref = weakref.ref(physical, lambda _: _ledger.homeless.append((was, number)))
    _ledger.homes[was] = home
    return home


def _logical(physical: Any, engine: Engine | None = None) -> Pool:
    dialect = vars(physical).get("_dialect")  # absent on a pool made by hand
    pool = _by_dialect.get(dialect) if dialect is not None else None
    if pool is None:
        pool = _ledger.pool_for(_name(physical, engine), "sqlalchemy", type(physical).__name__)
        if dialect is not None:
            _by_dialect[dialect] = pool
    _ledger.pools.setdefault(pool.key, pool)
    pool.marks = marks.of(dialect, physical)
    _describe(pool, physical)
    return pool


def _name(physical: Any, engine: Engine | None) -> str:
    if engine is None:
        return physical.logging_name or type(physical).__name__
    url = engine.url
    named = engine.logging_name or physical.logging_name
    if named:
        return str(named)
    if url.host:
        port = f":{url.port}" if url.port else ""
        return f"{url.host}{port}/{url.database or ''}"
    return f"{url.get_backend_name()}/{_database(physical, url)}".rstrip("/")


def _database(physical: Any, url: URL) -> str:
    """Name a database that has no host in its URL; with a ``creator`` of the application's nobody knows it."""
    words = {
        name.lower(): word.strip("{}") for name, word in _ODBC_WORD.findall(str(url.query.get("odbc_connect", "")))
    }
    if words:
        return "/".join(words[name] for name in ("server", "database") if name in words)
    by_url = str(getattr(physical._creator, "__module__", "")).startswith("sqlalchemy.")
    return url.database or (":memory:" if by_url and url.get_backend_name() == "sqlite" else "")


def _describe(pool: Pool, physical: Any) -> None:
    pool.cls = type(physical).__name__
    pool.shared = isinstance(physical, StaticPool)
    pool.limits = _limits(physical)
    pool.tests = bool(physical._pre_ping)
    dialect = physical._dialect
    pool.system = str(getattr(dialect, "name", ""))  # a pool made by hand has none
    loopless = pool.shared and getattr(dialect, "driver", "") in _LOOPLESS_DRIVERS
    pool.loop_bound = bool(getattr(dialect, "is_async", False)) and not loopless


def _limits(physical: Any) -> tuple[int | None, int | None, float | None]:
    if isinstance(physical, QueuePool):
        size, overflow = physical.size(), physical._max_overflow
        unlimited = overflow < 0 or size == 0
        return size, None if unlimited else size + overflow, physical.timeout()
    if isinstance(physical, (StaticPool, AssertionPool)):
        return 1, 1, None
    if isinstance(physical, (SingletonThreadPool, NullPool)):
        return getattr(physical, "size", None), None, None
    return None, None, None


def install(ledger: Ledger, guard: Guard) -> None:
    """See every engine that is made from now on."""
    global _ledger, _guard
    _ledger, _guard = ledger, guard
    _by_dialect.clear()
    # not Engine.__init__, whose parameter names create_engine reads from its code object
    original = vars(Dialect)["engine_created"].__func__

    def engine_created(cls: Any, engine: Engine) -> None:
        see(engine)
        original(cls, engine)

    patch(guard, _HOOK, Dialect, "engine_created", classmethod(engine_created))


def see(engine: Engine) -> None:
    """Know an engine's pool by the engine's name."""
    try:
        for cls in type(engine.dialect).__mro__:
            wrap_dialect(cls)
        pool = engine.pool
        home = _known(pool)
        if home is not None:
            _by_dialect[engine.dialect] = home.pool  # a second engine on it; the pool goes by its dialect now
        else:
            _new_home(_logical(pool, engine), pool)
    except Exception as error:
        _guard.failed(_HOOK, error)


__name__ = "sqlalchemy." + __name__  # its warnings are told of the first line that is not of such a module
