"""The interpreter's own threads, locks and sleep, whatever ``gevent.monkey`` put in their place.

poolwatch's watcher must be a real thread: a greenlet would stop with the hub it watches.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def original(module: str, name: str) -> Any:
    """Give ``module.name`` as it was before monkey-patching."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(importlib.import_module(module), name)


get_ident = original("_thread", "get_ident")
start_new_thread = original("_thread", "start_new_thread")
allocate_lock = original("_thread", "allocate_lock")
thread_local = original("_thread", "_local")
sleep = original("time", "sleep")


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
