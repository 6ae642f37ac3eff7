"""The modes that are compared: each is entered for one batch, proves that it is on, and leaves nothing behind."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool, QueuePool

from bench import tracing
from bench.batch import Inspect
from bench.cases import Case
from bench.rigs import Rig

BARE = "bare"
EMPTY = "empty listeners"
POOLWATCH = "poolwatch"
OTEL = "OpenTelemetry, not sampled"
OTEL_SAMPLED = "OpenTelemetry, sampled"
OTEL_MODULE = "opentelemetry.instrumentation.sqlalchemy"

_OWN_GET = QueuePool.__dict__["_do_get"]
_OWN_CLASSES = (QueuePool, AsyncAdaptedQueuePool)

Mode = Callable[[], AbstractContextManager[Inspect]]


class ModeError(AssertionError):
    """A batch did not run in the mode it was meant to run in."""


@contextmanager
def bare() -> Iterator[Inspect]:
    """Run with nothing attached, and check that earlier modes are really gone."""
    yield _check_bare


def _check_bare(engine: Engine) -> None:
    pool = engine.pool
    listeners = [name for name in ("connect", "checkout", "checkin", "reset") if _extra(pool, name)]
    if listeners or engine._has_events or engine.dialect.dispatch.do_execute:
        raise ModeError(f"bare run with listeners: {listeners or 'on the engine or its dialect'}")
    if type(pool) not in _OWN_CLASSES or QueuePool.__dict__["_do_get"] is not _OWN_GET:
        raise ModeError("bare run with a pool class that was replaced or patched")
    if "do_execute" in vars(engine.dialect):
        raise ModeError("bare run with a dialect that was patched")


def _extra(pool: Pool, name: str) -> list[object]:
    """Give the listeners that do not come from SQLAlchemy itself."""
    found = list(getattr(pool.dispatch, name))
    return [
        function for function in found if not getattr(function, "__module__", "sqlalchemy").startswith("sqlalchemy")
    ]


@contextmanager
def empty_listeners() -> Iterator[Inspect]:
    """Run with listeners that do nothing at the three places poolwatch works at: SQLAlchemy's own charge.

    They are ``checkout``, ``checkin`` and ``do_execute``; an operation without a statement does not meet the last.
    """
    event.listen(Pool, "checkout", _empty_checkout)
    event.listen(Pool, "checkin", _empty_checkin)
    event.listen(Engine, "do_execute", _empty_execute)
    try:
        yield _check_empty
    finally:
        event.remove(Pool, "checkout", _empty_checkout)
        event.remove(Pool, "checkin", _empty_checkin)
        event.remove(Engine, "do_execute", _empty_execute)
        Dialect._has_events = False  # SQLAlchemy never unsets it, and the bare mode would go on paying


def _empty_checkout(dbapi_connection: object, record: object, proxy: object) -> None:
    """Do nothing."""


def _empty_checkin(dbapi_connection: object, record: object) -> None:
    """Do nothing."""


def _empty_execute(cursor: object, statement: object, parameters: object, context: object) -> None:
    """Do nothing, and let the dialect execute."""


def _check_empty(engine: Engine) -> None:
    if list(engine.pool.dispatch.checkout) != [_empty_checkout]:
        raise ModeError("the empty listener is not the only one")


@contextmanager
def poolwatch() -> Iterator[Inspect]:
    """Run with poolwatch complete: every hook, the watcher, the Prometheus collector."""
    from poolwatch.watch import install

    watch = install()

    def check(engine: Engine) -> None:
        if not any(pool.checkouts_total for pool in watch.snapshot().pools):
            raise ModeError("poolwatch saw no checkout")

    try:
        yield check
    finally:
        watch.uninstall()


@contextmanager
def rig_bare() -> Iterator[Inspect]:
    """Run a rig with nothing attached."""
    yield _check_rig_bare


def _check_rig_bare(rig: Rig) -> None:
    if rig.watched():
        raise ModeError("bare run of something that is hooked")


@contextmanager
def rig_poolwatch() -> Iterator[Inspect]:
    """Run a rig with poolwatch complete, and check that its hook is in place and that none has failed."""
    from poolwatch.watch import install

    watch = install()

    def check(rig: Rig) -> None:
        errors = watch.snapshot().process.hook_errors
        if errors or not rig.watched():
            raise ModeError(f"watched run without its hook: {errors or 'not in place'}")

    try:
        yield check
    finally:
        watch.uninstall()


@contextmanager
def otel(sampled: bool) -> Iterator[Inspect]:
    """Run with OpenTelemetry's SQLAlchemy instrumentation, its SDK, and an exporter that drops every span."""
    # By name: the environment in which the types are checked does not have it.
    instrumentor = importlib.import_module(OTEL_MODULE).SQLAlchemyInstrumentor()
    instrumentor.instrument(tracer_provider=tracing.tracer_provider(sampled), meter_provider=tracing.meter_provider())
    try:
        yield _check_otel
    finally:
        instrumentor.uninstrument()


def _check_otel(engine: Engine) -> None:
    if not engine._has_events:
        raise ModeError("OpenTelemetry did not instrument the engine")


def modes() -> dict[str, Mode]:
    """Give the modes that can run in this interpreter, the baselines first."""
    found: dict[str, Mode] = {BARE: bare, EMPTY: empty_listeners, POOLWATCH: poolwatch}
    if has_otel():
        found[OTEL] = lambda: otel(sampled=False)
        found[OTEL_SAMPLED] = lambda: otel(sampled=True)
    return found


def modes_of(case: Case) -> dict[str, Mode]:
    """Give the modes in which a case is measured: what is beside engines has no listeners to compare with."""
    return modes() if case.on_engine else {BARE: rig_bare, POOLWATCH: rig_poolwatch}


def has_otel() -> bool:
    """Tell whether OpenTelemetry's SQLAlchemy instrumentation is installed here."""
    try:
        return importlib.util.find_spec(OTEL_MODULE) is not None
    except ModuleNotFoundError:
        return False
