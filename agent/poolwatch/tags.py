"""What the application says of a pool: ``tag`` names what is behind it, ``strict`` makes its crossings raise."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from poolwatch.senses import marks
from poolwatch.senses.marks import Marks
from poolwatch.watch import installed

_ALLOWED = "a SQLAlchemy engine or pool, a psycopg pool or an open asyncpg pool"


def tag(pool: Any, **route: object) -> None:
    """Say what a pool is: ``tag(engine, role="replica", shard="eu")``; a checkout against the route is reported.

    Takes a SQLAlchemy engine or pool (it holds over ``dispose()``), a psycopg pool or an open asyncpg pool; keeps none
    of them alive. Raises TypeError for anything else.
    """
    if not route:
        raise TypeError("tag() needs at least one word about the pool, such as role='replica'")
    _marks(pool).route = MappingProxyType(route)


def strict(pool: Any, on: bool = True) -> None:
    """Let crossings on this pool raise CrossingError at the offending call, whatever the option ``strict`` says.

    So do its leaks LeakError at the end of a fiber or scope. With ``on=False`` none of them raises, even where the
    option is on. Takes what ``tag`` takes; raises TypeError for anything else.
    """
    marks.set_strict(_marks(pool), on)


def _marks(subject: Any) -> Marks:
    engine = getattr(subject, "sync_engine", subject)
    physical = getattr(engine, "pool", engine)
    try:
        found = marks.to_write(_soul(physical))
    except (AttributeError, TypeError):
        raise TypeError(f"a {type(subject).__qualname__} is not {_ALLOWED}") from None
    watch = installed()
    if watch is not None:
        watch.mark(physical, found)
    return found


def _soul(physical: Any) -> Any:
    """Give what lives as long as the pool is meant to, and can be weakly referred to; raises TypeError for no pool."""
    classes = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(physical).__mro__}
    if "asyncpg.pool.Pool" in classes:
        return physical._queue  # the pool itself has no weak references
    if "psycopg_pool.base.BasePool" in classes:
        return physical
    if "sqlalchemy.pool.base.Pool" in classes:
        dialect = vars(physical).get("_dialect")  # an engine's pools are renewed, its dialect stays
        return physical if dialect is None else dialect
    raise TypeError(physical)
