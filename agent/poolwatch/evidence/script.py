"""What a running script has in hand in its globals: the lists, dicts and the like that it goes on to read.

The script's own names are to it what local variables are to a function, as long as it goes on to read them. What it
only fills, or empties, it does not read.
"""

from __future__ import annotations

import dis
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Container, Iterator
from itertools import islice
from typing import Any

from poolwatch.evidence.bytecode import JUMPS, Steps, comes_to, step_at, steps_of, stored
from poolwatch.senses import stack

_KEEPERS = {list, tuple, set, frozenset, dict, deque, defaultdict, OrderedDict, types.GeneratorType}
_LONGEST = 100_000
"""Bytes of code that are read through."""
_READS = {"LOAD_NAME", "LOAD_GLOBAL"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
_LOOKS = {"values", "items", "get", "copy"}
"""Methods that give what is in there, and leave it."""
_TAKES = {"GET_ITER", "BINARY_SUBSCR", "BINARY_SLICE", "UNPACK_SEQUENCE", "UNPACK_EX", "LIST_EXTEND", "SET_UPDATE"}
_CALLS = ("CALL", "PRECALL")
_ASIDE = {"CACHE", "EXTENDED_ARG", "KW_NAMES", "NOP"}


def is_script(frame: types.FrameType) -> bool:
    """Tell whether a frame is that of the application's script itself."""
    code, names = frame.f_code, frame.f_globals
    if code.co_name != "<module>" or names.get("__name__") != "__main__" or names.get("__file__") != code.co_filename:
        return False
    return not stack.is_library(code.co_filename)


def in_hand(frame: types.FrameType) -> list[Any]:
    """Give the lists and the like in names of a script's that it goes on to read, or goes through just now."""
    if not is_script(frame) or len(frame.f_code.co_code) > _LONGEST:
        return []
    named = {name: dict.get(frame.f_globals, name) for name in frame.f_code.co_names}
    kept = {name: value for name, value in named.items() if type(value) in _KEEPERS and value}
    return [kept[name] for name in _read_on(frame, kept)] if kept else []


def _read_on(frame: types.FrameType, names: Container[str]) -> Iterator[str]:
    steps = steps_of(frame.f_code)
    here = step_at(steps, frame.f_lasti)
    loops = list(_loops(frame.f_code, steps, here))
    reads = defaultdict[str, set[int]](set)
    for at, step in enumerate(steps):
        if step.opname in _READS and step.argval in names and _is_used(steps, at, any(at in loop for loop in loops)):
            reads[step.argval].add(at)
    for name, read in reads.items():
        if any(at in loop for loop in loops for at in read) or _is_ahead(steps, here, name, read):
            yield name


def _is_ahead(steps: Steps, here: int, name: str, read: set[int]) -> bool:
    return comes_to(steps, here + 1, read.__contains__, lambda step: name in stored(step))


def _loops(code: types.CodeType, steps: Steps, here: int) -> Iterator[range]:
    """Give the loops that a step is in, each with the line that says what it goes through."""
    lines = [offset for offset, _ in dis.findlinestarts(code)]
    for at in range(here + 1, len(steps)):
        step = steps[at]
        if step.opcode in JUMPS and step.argval <= steps[here].offset:
            first = step_at(steps, step.argval)
            head = max((offset for offset in lines if offset <= step.argval), default=step.argval)
            yield range(step_at(steps, head) if _goes_through(steps, first) else first, at)


def _goes_through(steps: Steps, at: int) -> bool:
    return next(step.opname for step in islice(steps, at, None) if step.opname not in _ASIDE) == "FOR_ITER"


def _is_used(steps: Steps, at: int, again: bool) -> bool:
    """Tell whether what is loaded is gone through, or asked for what is in it; ``again`` where in a loop around here.

    What a loop passes on each time may be what it fills.
    """
    if steps[at + 1].opname in _ATTRIBUTES:
        return steps[at + 1].argval in _LOOKS
    end = _consumer(steps, at)
    if steps[end].opname in _TAKES:
        return True
    if not steps[end].opname.startswith(_CALLS) or any(step.argval == "len" for step in steps[max(at - 2, 0) : at]):
        return False
    return not again or _next_but_calls(steps, end) == "GET_ITER"


def _next_but_calls(steps: Steps, at: int) -> str:
    return next(step.opname for step in islice(steps, at, None) if not step.opname.startswith(_CALLS))


def _consumer(steps: Steps, at: int) -> int:
    """Give the step that takes what the step ``at`` has put onto the stack."""
    above = 0
    for end in range(at + 1, len(steps)):
        step = steps[end]
        above += 0 if step.opname in _TAKES and not above else dis.stack_effect(step.opcode, step.arg, jump=False)
        if above <= 0 and step.opname not in _ASIDE:
            return end
    return len(steps) - 1
