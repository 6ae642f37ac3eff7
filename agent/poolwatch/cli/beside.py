"""A thread that lives as long as a block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(work: Callable[[threading.Event], object], name: str, patience: float | None = None) -> Iterator[None]:
    """Run ``work`` in a thread beside the block; it is given the event that says that the block is over.

    It is waited for then, at most ``patience`` seconds; None is as long as it takes.
    """
    over = threading.Event()
    thread = threading.Thread(target=work, args=[over], name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(patience)
