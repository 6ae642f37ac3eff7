"""Mistakes of child processes. What a child has found lies in the stage's folder when it has ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from poolwatch.demo.leaks import COUNT, KEPT
from poolwatch.demo.shop import open_branch
from poolwatch.demo.stage import Stage


def _in_child(work: Callable[[], object]) -> None:
    """Do the work in a forked child, and wait for its end; its last word lies in the stage's folder then."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


@contextmanager
def fork(stage: Stage) -> Iterator[None]:
    """Use in a forked child a connection that its parent has opened."""
    engine = open_branch(stage.folder, "night")

    def night_shift() -> None:
        with engine.connect() as connection:
            connection.execute(COUNT)

    _in_child(night_shift)
    yield


@contextmanager
def leave(stage: Stage) -> Iterator[None]:
    """Let a child process end with a connection in hand."""

    def deliver() -> None:
        KEPT.append(open_branch(stage.folder, "delivery").connect())
        KEPT[-1].execute(COUNT)

    _in_child(deliver)
    yield
