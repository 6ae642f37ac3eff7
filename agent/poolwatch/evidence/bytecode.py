"""What code goes on to do: the ways on through its bytecode, and the names that each step reads and writes."""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator

_LEAVES = {"RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS"}
_ALWAYS = {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_ABSOLUTE"}
JUMPS = {*dis.hasjrel, *dis.hasjabs}
_OF_NAMES = ("FAST", "FAST_CHECK", "FAST_AND_CLEAR", "DEREF", "CLOSURE", "NAME", "GLOBAL")
Steps = list[dis.Instruction]


def steps_of(code: types.CodeType) -> Steps:
    """Give the instructions of a function or script."""
    return list(dis.get_instructions(code))


def step_at(steps: Steps, offset: int) -> int:
    """Give which of the steps an offset (bytes) is in: who calls a function may be some way behind its call's step."""
    return max((at for at, step in enumerate(steps) if step.offset <= offset), default=0)


def comes_to(steps: Steps, begin: int, wanted: Callable[[int], bool], ends: Callable[[dis.Instruction], bool]) -> bool:
    """Tell whether some way on from a step comes to one that is ``wanted`` before one that ``ends`` it."""
    places = {step.offset: at for at, step in enumerate(steps)}
    ahead, seen = [begin], set[int]()
    while ahead:
        at = ahead.pop()
        if at in seen or at >= len(steps):
            continue
        seen.add(at)
        if wanted(at):
            return True
        if not ends(steps[at]):
            ahead.extend(_next(steps, at, places))
    return False


def _next(steps: Steps, at: int, places: dict[int, int]) -> Iterator[int]:
    step = steps[at]
    if step.opname not in _LEAVES | _ALWAYS:
        yield at + 1
    if step.opcode in JUMPS and not step.opname.startswith("SETUP_"):  # where an error leads to is no way on
        yield places[step.argval]


def loaded(step: dis.Instruction) -> tuple[str, ...]:
    """Give the names of variables that a step reads."""
    if step.opname == "STORE_FAST_LOAD_FAST":
        return step.argval[1:]  # type: ignore[no-any-return]
    return _names(step) if step.opname.startswith("LOAD_") and step.opname.endswith(_OF_NAMES) else ()


def stored(step: dis.Instruction) -> tuple[str, ...]:
    """Give the names of variables that a step writes, or deletes."""
    if step.opname == "STORE_FAST_LOAD_FAST":
        return step.argval[:1]  # type: ignore[no-any-return]
    return _names(step) if step.opname.startswith(("STORE_", "DELETE_")) and step.opname.endswith(_OF_NAMES) else ()


def _names(step: dis.Instruction) -> tuple[str, ...]:
    return step.argval if type(step.argval) is tuple else (step.argval,)
