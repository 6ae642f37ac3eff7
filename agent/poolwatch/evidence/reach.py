"""Who can still reach a handle: a bounded walk from above, in slices, that never stops the program.

Two questions. Does the frame of somebody alive reach it? Then it was handed over. If not, which name keeps it: a
module's global, or only a dead frame or traceback? Handles are compared by id; nothing is kept after the walk.
Walking down from frames and modules is some thousand cheap steps; ``gc.get_referrers`` would scan the whole heap
with every thread stopped (17 ns an object).
"""

from __future__ import annotations

import asyncio
import gc
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from time import thread_time
from typing import Any, NamedTuple

from poolwatch.evidence import places, roots
from poolwatch.evidence.objects import Leaves, attributes_of, is_a, name_of
from poolwatch.evidence.ways import Kept, Node, is_served, kept
from poolwatch.host.native import sleep
from poolwatch.senses import greenlets

_SLICE = 500
LIVING = (50_000, 12)
_MODULES = (60_000, 12)
"""Steps of one walk, and names from its beginning down."""
_hurries = 0
_MAX_SECONDS = 0.5
"""Of CPU, that all the walks from the living may take together, and those from modules."""
_LONGEST_KEY = 40
"""Characters of a key that may be a name in the program; what is longer, or no name, may be a token or an address."""
_BOOKS = {"PoolConnectionHolder"}
"""Classes with which a pool keeps account of what it has lent: reaching a handle by them is holding nothing."""
_SUSPENDABLE = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
_DEAD = (types.FrameType, types.TracebackType)
NOT_SOMEBODY = (asyncio.Task, *_DEAD)
"""What nobody alive holds by; a task that has returned is no more than its result."""


class Living(NamedTuple):
    """What the frames of living threads, tasks and greenlets reach."""

    found: set[int]
    whole: bool
    """False where there was more to look through, so that others may be reached too."""
    served: set[int]
    """Those of ``found`` that lie in a queue by themselves."""


def hurry() -> None:
    """Cut short the walks that are under way: somebody waits for them, as at the end of the process."""
    global _hurries
    _hurries += 1


def by_living_frames(targets: set[int], effort: int = 1) -> Living:
    """Look for the ids of ``targets``; ``effort`` is how many times as much as usual may be looked through."""
    walk = Walk(targets, NOT_SOMEBODY, LIVING, effort)
    for values in roots.living():
        walk.go(Node(value, "") for value in values)
    served = {key for key, node in walk.found.items() if is_served(node)}
    return Living(set(walk.found), walk.whole, served)


def from_values(values: Iterable[Any], targets: set[int], opaque: tuple[type, ...]) -> set[int]:
    """Give those ids of ``targets`` that some objects reach by others than the ``opaque`` ones."""
    walk = Walk(targets, (*NOT_SOMEBODY, *opaque), LIVING)
    walk.go(Node(value, "") for value in values)
    return set(walk.found)


def by_modules(targets: set[int]) -> dict[int, Kept]:
    """Give for each id that a module's globals reach how they do."""
    direct = _from_modules(targets, NOT_SOMEBODY, False)
    return direct | _from_modules(targets - direct.keys(), (), True)


def _from_modules(targets: set[int], opaque: tuple[type, ...], only_dead: bool) -> dict[int, Kept]:
    walk = Walk(targets, opaque, _MODULES)
    walk.go(Node(value, name) for name, value in roots.modules())
    found = {key: kept(node, only_dead) for key, node in walk.found.items()}
    lying = {key: place for key, node in walk.found.items() if (place := places.of(node)) is not None}
    del walk  # it has the handles
    read = set[int]() if only_dead else places.read(lying, _in_time())
    return {key: one._replace(is_place=key in read) for key, one in found.items()}


def _in_time(effort: int = 1) -> Callable[[], bool]:
    """Begin the time for a walk; gives what tells whether it is not over, and nobody waits for its end."""
    until, hurries = thread_time() + _MAX_SECONDS * effort, _hurries
    return lambda: thread_time() <= until and hurries == _hurries


class Walk:
    """Walks breadth first to the objects with the wanted ids; what one has seen the next does not look at again."""

    def __init__(self, targets: set[int], opaque: tuple[type, ...], bounds: tuple[int, int], effort: int = 1) -> None:
        self.found: dict[int, Node] = {}
        """Where each was found, by id."""
        self.whole = True
        """False once the walk was cut short."""
        self._targets = targets
        self._opaque = opaque
        steps, self._depth = bounds
        self._budget = steps * effort
        self._in_time = _in_time(effort)
        self._seen: set[int] = set()
        self._leaves = Leaves()

    def go(self, begin: Iterable[Node]) -> None:
        """Walk from some objects down."""
        below = deque[Node]()
        steps = 0
        candidates = iter(begin)
        while self._targets - self.found.keys():
            for node in candidates:
                steps += 1
                if steps % _SLICE == 0:
                    if steps > self._budget or not self._in_time():
                        self.whole = False
                        return
                    sleep(0)
                if self._is_new(node) and node.depth < self._depth:
                    below.append(node)
            if not below:
                return
            up = below.popleft()
            candidates = (Node(value, label, up) for label, value in _steps(up) if not self._leaves.has(value))

    def _is_new(self, node: Node) -> bool:
        subject = node.subject
        key = id(subject)
        if key in self._targets:
            self.found.setdefault(key, node)
            return False
        if key in self._seen or self._leaves.has(subject):
            return False
        if name_of(type(subject)) in _BOOKS or (is_a(subject, self._opaque) and not _returned(subject)):
            return False
        self._seen.add(key)
        return True


def _returned(subject: Any) -> bool:
    """Tell whether this is a task that has come to its end by itself."""
    if not is_a(subject, (asyncio.Task,)) or not asyncio.Task.done(subject) or asyncio.Task.cancelled(subject):
        return False
    return getattr(subject, "_exception", None) is None  # asking ``exception()`` would count as having retrieved it


def _steps(node: Node) -> Iterator[tuple[str, Any]]:
    subject = node.subject
    if type(subject) is dict:
        entries = subject.copy()
        keys = ((_key_label(node, key), key) for key in entries if gc.is_tracked(key))
        return chain(((_key_label(node, key), value) for key, value in entries.items()), keys)
    if type(subject) in (list, tuple):
        return ((f"[{index}]", value) for index, value in enumerate(list(subject)))
    if type(subject) is types.FunctionType:
        return _enclosed(subject)
    if is_a(subject, greenlets.kinds):
        return chain(_inner(subject), (("", value) for value in roots.held_on(getattr(subject, "gr_frame", None))))
    return _inner(subject)


def _inner(subject: Any) -> Iterator[tuple[str, Any]]:
    names = _attributes(subject)
    return ((names.get(id(value), _step_label(value)), value) for value in _referents(subject))


def _enclosed(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Give what a function brings along: not its globals, which are nobody's."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        yield f" > {name} of {function.__name__}", cell
    for values in (function.__defaults__, function.__kwdefaults__):
        yield f" > default of {function.__name__}", values


def _referents(subject: Any) -> list[Any]:
    found = gc.get_referents(subject)
    if sys.version_info < (3, 11) and is_a(subject, _SUSPENDABLE):
        # later versions give a generator's locals as its own referents
        found += [value for frame in found if is_a(frame, (types.FrameType,)) for value in _held_by(frame)]
    return found


def _held_by(frame: types.FrameType) -> Iterator[Any]:
    """Give what a frame's locals and its stack refer to: globals are nobody's, and a caller has a frame of his own."""
    others = {id(frame.f_globals), id(frame.f_builtins), id(frame.f_back)}
    return (value for value in gc.get_referents(frame) if id(value) not in others)


def _attributes(subject: Any) -> dict[int, str]:
    """Give the label of each attribute's value by its id."""
    values = attributes_of(subject)
    return {} if values is None else {id(values): ""} | {id(inner): f".{name}" for name, inner in values.copy().items()}


def _key_label(node: Node, key: object) -> str:
    """Give the label of an entry. Of keys only numbers and short names are shown: others may be data, or code."""
    if type(key) is str and key.isidentifier():
        if node.label == "" and node.up is not None:
            return f".{key}"
        if len(key) <= _LONGEST_KEY:
            return f"[{key!r}]"
    return f"[{key}]" if type(key) is int else f"[<{name_of(type(key))}>]"


def _step_label(value: Any) -> str:
    if is_a(value, (types.FrameType,)):
        return f" > frame of {value.f_code.co_name}"
    if is_a(value, (types.TracebackType,)):
        return " > traceback"
    if is_a(value, (dict, list, tuple)):
        return ""
    return f" > {name_of(type(value))}"
