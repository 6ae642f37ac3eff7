"""Which of its local variables a function that runs goes on to read, from where it is."""

from __future__ import annotations

import types
from collections.abc import Iterator

from poolwatch.evidence.bytecode import Steps, comes_to, loaded, step_at, steps_of, stored
from poolwatch.evidence.script import is_script
from poolwatch.senses.awaited import fast_locals

_GIVEN = 0x04, 0x08
"""CO_VARARGS and CO_VARKEYWORDS: the names of all the arguments stand before those of other locals."""
_CALLS = {"CALL", "CALL_FUNCTION"}
_NOTHING = {"CACHE", "DUP_TOP", "LOAD_CONST", "PRECALL"}
"""What stands before the call that leaves a ``with`` block: three times None."""
_ASIDE = {"ROT_TWO", "SWAP"}
"""Before those, where the block is left by a ``return``: its value goes below."""
_BEFORE = {"NOP", "POP_BLOCK", "POP_TOP", *_NOTHING, *_ASIDE}


def still_held(frame: types.FrameType) -> list[object] | None:
    """Give the values of the locals that a frame goes on to read, and of what others gave it: they have it, too.

    None where it is about to return the value of an expression, which nobody can see.
    """
    steps = steps_of(frame.f_code)
    here = step_at(steps, frame.f_lasti)
    returned = _returned(steps, here)
    if returned == "":
        return None
    names = {returned, *_given(frame.f_code, steps), *frame.f_code.co_freevars}
    others = {*frame.f_code.co_varnames, *frame.f_code.co_cellvars} - names
    names.update(name for name in others if _is_read(steps, here + 1, name))
    values = frame.f_locals
    found = [values[name] for name in names if name in values]
    del values
    fast_locals(frame)  # before 3.13 it empties the copy that the frame keeps
    return found


def forgotten(frame: types.FrameType) -> set[str]:
    """Give the globals that a script, run from its file, has written and that none of its code reads any more."""
    code = frame.f_code
    if not is_script(frame):
        return set()
    steps = steps_of(code)
    here = step_at(steps, frame.f_lasti)
    written = {name for step in steps for name in stored(step)} - set(_named_within(code))
    return {name for name in written if not _is_read(steps, here + 1, name)}


def _named_within(code: types.CodeType) -> Iterator[str]:
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from inner.co_names
            yield from _named_within(inner)


def _given(code: types.CodeType, steps: Steps) -> set[str]:
    """Give the names of the arguments that are still what was given."""
    number = code.co_argcount + code.co_kwonlyargcount + sum(bool(code.co_flags & flag) for flag in _GIVEN)
    return {name for name in code.co_varnames[:number] if not any(name in stored(step) for step in steps)}


def _is_read(steps: Steps, begin: int, name: str) -> bool:
    """Tell whether some way on from a step reads a name before it is written."""
    return comes_to(steps, begin, lambda at: name in loaded(steps[at]), lambda step: name in stored(step))


def _returned(steps: Steps, here: int) -> str | None:
    """Give the name of the local that a ``return`` out of the block takes along; empty where it is another value."""
    at = here - 1
    while at > 0 and steps[at].opname in _NOTHING:
        at -= 1
    if steps[at].opname not in _ASIDE:
        return None
    while at > 0 and (steps[at].opname in _BEFORE or _leaves_a_block(steps, at)):
        at -= 1
    return next(iter(loaded(steps[at])[-1:]), "")


def _leaves_a_block(steps: Steps, at: int) -> bool:
    return steps[at].opname in _CALLS and steps[at + 1].opname == "POP_TOP"
