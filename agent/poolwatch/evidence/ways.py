"""The ways by which a walk came to a handle, and what they say of whoever keeps it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import takewhile
from threading import local
from typing import Any, NamedTuple

from poolwatch.evidence.names import is_of_pools
from poolwatch.evidence.objects import classes_of, home_of, is_a, name_of

_QUEUES = {"Queue", "SimpleQueue", "_PySimpleQueue"}
"""What lies in a queue, of whatever library, is on its way to somebody."""
_HEAPS = {list, tuple, set, frozenset, deque}
"""What has no names for its entries."""
_JOBS = {"_WorkItem"}


class Node:
    """One step of a walk: the object, how it was reached, and from where."""

    __slots__ = ("depth", "label", "subject", "up")

    def __init__(self, subject: Any, label: str, up: Node | None = None) -> None:
        self.subject = subject
        self.label = label
        self.up = up
        # what has no label of its own, as the dictionary of an object, is no step down
        self.depth: int = 0 if up is None else up.depth + bool(label)

    def way(self) -> Iterator[Node]:
        """Give the steps from here up to where the walk began."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.up


class Kept(NamedTuple):
    """How a module's globals reach a handle."""

    path: str
    only_dead: bool
    """True where only the frame or traceback of somebody who has ended leads there."""
    queued: bool
    """True where it lies in a queue: on its way to somebody."""
    in_thread: bool
    """True where it lies in a ``threading.local``, in what is there of a thread that lives."""
    unnamed: bool
    """True where the application has no name for it: it lies in a list or a set, or under a number."""
    served: bool
    """True where it lies in a queue by itself, and not among what a job there will work with."""
    is_place: bool = False
    """True where it has a plain name, which functions of the application's read."""


def kept(found: Node, only_dead: bool) -> Kept:
    """Say how a walk from a module's globals came to a handle."""
    way = list(found.way())
    path = "".join(node.label for node in reversed(way))
    in_thread = any(is_a(node.subject, (local,)) for node in way)
    return Kept(path, only_dead, _is_queued(way), in_thread, _is_unnamed(way), is_served(found))


def is_served(found: Node) -> bool:
    """Tell whether it lies in a queue by itself, and not among what a job there will work with."""
    way = list(found.way())
    return _is_queued(way) and all(name_of(type(node.subject)) not in _JOBS for node in way)


def _is_queued(way: list[Node]) -> bool:
    return any(name_of(kind) in _QUEUES for node in way for kind in classes_of(node.subject))


def _is_unnamed(way: list[Node]) -> bool:
    """Tell whether the application itself keeps it so: how a library keeps its own parts says nothing."""
    steps = zip(way[::-1], way[-2::-1], strict=False)
    own = takewhile(lambda step: not is_of_pools(home_of(type(step[0].subject))), steps)
    return any(_is_entry(type(up.subject), node.label) for up, node in own)


def _is_entry(within: type, label: str) -> bool:
    return within in _HEAPS or (within is dict and label.startswith("[") and not label.startswith("['"))
