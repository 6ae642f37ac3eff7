"""Which of its local variables a function that runs goes on to read, from where it is."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator

from poolwatch.evidence.roots import fast_locals

_LEAVES = {"RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS"}
_ALWAYS = {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_ABSOLUTE"}
_JUMPS = {*dis.hasjrel, *dis.hasjabs}
_OF_NAMES = ("FAST", "FAST_CHECK", "FAST_AND_CLEAR", "DEREF", "CLOSURE", "NAME", "GLOBAL")
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
    steps = list(dis.get_instructions(frame.f_code))
    here = _at(steps, frame.f_lasti)
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
    code, names = frame.f_code, frame.f_globals
    if code.co_name != "<module>" or names.get("__name__") != "__main__" or names.get("__file__") != code.co_filename:
        return set()
    steps = list(dis.get_instructions(code))
    here = _at(steps, frame.f_lasti)
    written = {name for step in steps for name in _stored(step)} - set(_named_within(code))
    return {name for name in written if not _is_read(steps, here + 1, name)}


def _named_within(code: types.CodeType) -> Iterator[str]:
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from inner.co_names
            yield from _named_within(inner)


def _at(steps: list[dis.Instruction], offset: int) -> int:
    return next((at for at, step in enumerate(steps) if step.offset == offset), len(steps) - 1)


def _given(code: types.CodeType, steps: list[dis.Instruction]) -> set[str]:
    """Give the names of the arguments that are still what was given."""
    number = code.co_argcount + code.co_kwonlyargcount + sum(bool(code.co_flags & flag) for flag in _GIVEN)
    return {name for name in code.co_varnames[:number] if not any(name in _stored(step) for step in steps)}


def _is_read(steps: list[dis.Instruction], begin: int, name: str) -> bool:
    """Tell whether some way on from a step reads a name before it is written."""
    places = {step.offset: at for at, step in enumerate(steps)}
    ahead, seen = [begin], set[int]()
    while ahead:
        at = ahead.pop()
        if at in seen or at >= len(steps):
            continue
        seen.add(at)
        if name in _loaded(steps[at]):
            return True
        if name not in _stored(steps[at]):
            ahead.extend(_next(steps, at, places))
    return False


def _next(steps: list[dis.Instruction], at: int, places: dict[int, int]) -> Iterator[int]:
    step = steps[at]
    if step.opname not in _LEAVES | _ALWAYS:
        yield at + 1
    if step.opcode in _JUMPS and not step.opname.startswith("SETUP_"):  # where an error leads to is no way on
        yield places[step.argval]


def _loaded(step: dis.Instruction) -> tuple[str, ...]:
    if step.opname == "STORE_FAST_LOAD_FAST":
        return step.argval[1:]  # type: ignore[no-any-return]
    return _names(step) if step.opname.startswith("LOAD_") and step.opname.endswith(_OF_NAMES) else ()


def _stored(step: dis.Instruction) -> tuple[str, ...]:
    if step.opname == "STORE_FAST_LOAD_FAST":
        return step.argval[:1]  # type: ignore[no-any-return]
    return _names(step) if step.opname.startswith(("STORE_", "DELETE_")) and step.opname.endswith(_OF_NAMES) else ()


def _names(step: dis.Instruction) -> tuple[str, ...]:
    return step.argval if type(step.argval) is tuple else (step.argval,)


def _returned(steps: list[dis.Instruction], here: int) -> str | None:
    """Give the name of the local that a ``return`` out of the block takes along; empty where it is another value."""
    at = here - 1
    while at > 0 and steps[at].opname in _NOTHING:
        at -= 1
    if steps[at].opname not in _ASIDE:
        return None
    while at > 0 and (steps[at].opname in _BEFORE or _leaves_a_block(steps, at)):
        at -= 1
    return next(iter(_loaded(steps[at])[-1:]), "")


def _leaves_a_block(steps: list[dis.Instruction], at: int) -> bool:
    return steps[at].opname in _CALLS and steps[at + 1].opname == "POP_TOP"
