"""The interpreter's own threads, locks and sleep, whatever ``gevent.monkey`` put in their place.

poolwatch's watcher must be a real thread: a greenlet would stop with the hub it watches.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any


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
thread_local = original("_thread", "_local")
sleep = original("time", "sleep")


def pid_namespace() -> int:
    """Give the number of the table that this process's pid is of, 0 where the system has no such tables."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def wait_for_end_of(native_id: int) -> None:
    """Wait a little until the system has ended a thread whose Python code is over; Python counts them at a fork."""
    for _ in range(50):
        if not native_id or not os.path.exists(f"/proc/self/task/{native_id}"):
            return
        sleep(0.001)


_thresholds: tuple[int, int, int] | None = None
"""The collector's, while it rests."""


def with_collector_paused(call: Callable[[], object]) -> None:
    """Call while the cyclic collector rests: it would run the application's finalizers in this thread.

    The switch is the process's: for the milliseconds of the call nobody collects. It is the threshold, because what
    the host says to ``gc.disable`` and ``gc.enable`` meanwhile must hold afterwards. ``gc.disable`` itself is for the
    instant in which the threshold is read, which makes a tuple, and that could begin a collection.
    """
    global _thresholds
    on = gc.isenabled()
    gc.disable()
    _thresholds = gc.get_threshold()
    gc.set_threshold(0, *_thresholds[1:])
    if on:
        gc.enable()
    try:
        call()
    finally:
        let_collector_go_on()


def let_collector_go_on() -> None:
    """End the collector's rest; also for a child that was forked while a look took too long to wait for."""
    global _thresholds
    before, _thresholds = _thresholds, None
    if before is not None and gc.get_threshold()[0] == 0:  # else the host has set its own
        gc.set_threshold(*before)


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
