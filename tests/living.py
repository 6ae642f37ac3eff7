"""Somebody who lives, and stays where the test wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def living(work: Callable[[Callable[[], None]], object]) -> Iterator[None]:
    """Run ``work`` in a thread, up to where it calls what it is given and stays there."""
    there, finish = threading.Event(), threading.Event()

    def stay() -> None:
        there.set()
        finish.wait(60)

    thread = threading.Thread(target=work, args=[stay])
    thread.start()
    assert there.wait(30)
    try:
        yield
    finally:
        finish.set()
        thread.join()
