"""The interpreter's own threads, locks and sleep, whatever ``gevent.monkey`` put in their place.

poolwatch's watcher must be a real thread: a greenlet would stop with the hub it watches.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar


def original(module: str, name: str) -> Any:
    """Give ``module.name`` as it was before monkey-patching."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(importlib.import_module(module), name)


get_ident = original("_thread", "get_ident")
get_native_id = original("_thread", "get_native_id")
start_new_thread = original("_thread", "start_new_thread")
allocate_lock = original("_thread", "allocate_lock")
new_lock_of_thread = original("_thread", "RLock")
thread_local = original("_thread", "_local")
sleep = original("time", "sleep")


def began_at(native_id: int) -> bytes:
    """Give when the system began a thread of this process, in its own ticks; empty where it does not say (no Linux)."""
    try:
        file = os.open(f"/proc/self/task/{native_id}/stat", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(file, 1024).rpartition(b")")[2].split()[19]
    except (OSError, IndexError):
        return b""
    finally:
        os.close(file)


def pid_namespace() -> int:
    """Give the number of the table that this process's pid is of, 0 where the system has no such tables."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


own_threads: set[int] = set()
"""Idents of the threads that poolwatch started and that live: what they take and wait for is not the application's."""


def start_own_thread(run: Callable[..., object], *args: object) -> None:
    """Start a thread of poolwatch's own; raises RuntimeError where none can be had, as late in the end of a process."""
    start_new_thread(_run_own, (run, args))


def _run_own(run: Callable[..., object], args: tuple[object, ...]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # signals are for the host's threads
    own_threads.add(get_ident())
    try:
        run(*args)
    finally:
        own_threads.discard(get_ident())


def leave_no_dummy() -> None:
    """Take a thread of poolwatch's own out of those that ``threading`` lists.

    Each record of ``logging`` asks there, and so enters it as a dummy, which the host can neither join nor end.
    """
    if get_ident() in own_threads:
        known = threading._active  # type: ignore[attr-defined]
        ident = threading.get_ident()  # gevent has another
        if type(known.get(ident)) is threading._DummyThread:
            known.pop(ident, None)


def wait_for_end_of(native_id: int) -> None:
    """Wait a little until the system has ended a thread whose Python code is over; Python counts them at a fork."""
    for _ in range(50):
        if not native_id or not os.path.exists(f"/proc/self/task/{native_id}"):
            return
        sleep(0.001)


_LONGEST_REST = 1.0
"""Seconds after which the next call ends a rest of the collector: many that overlap, or one that hangs, would be a rest
without end."""
_T = TypeVar("_T")
_switch = allocate_lock()
_RESTS = 1 << 30
"""Added to the first threshold while the collector rests: as good as never, and it can be told from the host's own."""
_thresholds: tuple[int, int, int] | None = None
"""The collector's, while it rests."""
_calls = 0
"""That it rests for."""
_since = 0.0
"""When it began to rest; monotonic seconds."""


def with_collector_paused(call: Callable[[], _T]) -> _T:
    """Call while the cyclic collector rests: it would run the application's finalizers in this thread.

    The switch is the process's: for the milliseconds of the call nobody collects, and threads that overlap share one
    rest. It is the threshold, because what the host says to ``gc.disable`` and ``gc.enable`` meanwhile must hold
    afterwards.
    """
    joined = _rest()
    try:
        return call()
    finally:
        if joined:
            _rest_no_more()


def _rest() -> bool:
    """Count one more call that the collector rests for; false where it has rested for too long, and is woken."""
    global _calls, _since
    _switch.acquire()  # no ``with`` here and below: it makes objects for the collector to count, and so may call it
    joined = not _calls or monotonic() - _since <= _LONGEST_REST
    if not _calls:
        _since = monotonic()
        _stop_collector()
    if joined:
        _calls += 1
    else:
        _calls = 0
        _start_collector()
    _switch.release()
    return joined


def _stop_collector() -> None:
    global _thresholds
    on = gc.isenabled()
    gc.disable()  # for the instant in which the threshold is read, which makes a tuple: that could begin a collection
    _thresholds = _honest(gc.get_threshold())
    gc.set_threshold(_RESTS + _thresholds[0], *_thresholds[1:])
    if on:
        gc.enable()


def _rest_no_more() -> None:
    global _calls
    _switch.acquire()
    if _calls:  # else it was let go for all
        _calls -= 1
        if not _calls:
            _start_collector()
    _switch.release()


def _start_collector() -> None:
    global _thresholds
    before, _thresholds = _thresholds, None
    if before is not None and gc.get_threshold()[0] >= _RESTS:  # else the host has set its own
        gc.set_threshold(*before)


def _honest(thresholds: tuple[int, int, int]) -> tuple[int, int, int]:
    """Give what the host has meant: one that saves and restores its threshold may have read it during a rest."""
    first, *others = thresholds
    return (first - _RESTS if first >= _RESTS else first, *others)  # type: ignore[return-value]


def let_collector_go_on() -> None:
    """End the collector's rest, in a child that was forked during one: who could end it is not there."""
    global _switch, _calls
    _switch, _calls = allocate_lock(), 0
    _start_collector()


class Alarm:
    """Wakes one waiting thread early; made of a plain lock, so it works under any monkey-patching."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds``; true where somebody rang."""
        return bool(self._lock.acquire(True, seconds))

    def ring(self) -> None:
        """Wake the waiter; ringing twice is ringing once."""
        try:
            self._lock.release()
        except RuntimeError:
            return
