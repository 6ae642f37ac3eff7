"""What keeps poolwatch from breaking its host: a hook that fails is counted, logged once and taken out."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from types import CodeType, FrameType
from typing import NamedTuple

from poolwatch.host.speech import Log
from poolwatch.libraries import POOL_LIBRARIES

log = Log("poolwatch")

Undo = Callable[[], None]
_OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_CO_OPTIMIZED, _CO_VARARGS = 1, 4
_MOST_FAILURES = 100_000
"""Noted between two looks; a hook fails until the next look takes it out."""
_RAISED_BY_CALLS = {*sys.stdlib_module_names, "builtins", "poolwatch", *POOL_LIBRARIES}


def is_hosts(error: BaseException) -> bool:
    """Tell whether ``error`` is meant for the host: out of its signal handler, or thrown into its thread from outside.

    Both surface wherever the thread happens to be, which may be in one of our hooks: so do the timeouts of rq, Celery
    and pytest-timeout.
    """
    if not isinstance(error, Exception):
        return True
    steps, last = error.__traceback__, None
    while steps is not None:
        last = steps.tb_frame
        if _is_signal_handler(last):
            return True
        steps = steps.tb_next
    # nobody's code raised it where it surfaced: a class like that is none that ours or a library's would raise there
    thrown = last is not None and last.f_code.co_filename.startswith(_OUR_FOLDER)
    return thrown and type(error).__module__.partition(".")[0] not in _RAISED_BY_CALLS


def _is_signal_handler(frame: FrameType) -> bool:
    """Tell whether a frame was called with a signal's number and the frame that it interrupted."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + bool(code.co_flags & _CO_VARARGS)]
    local = frame.f_locals
    values = [local.get(name) for name in names]
    if sys.version_info < (3, 13) and code.co_flags & _CO_OPTIMIZED:
        local.clear()  # a copy that stays on the frame: with the error in it, it would keep all these frames
    given = [*values, *(inner for value in values if type(value) is tuple for inner in value)]
    return frame.f_back is not None and any(value is frame.f_back for value in given)


class _Failure(NamedTuple):
    """What is kept of an error: nothing of the host's, no frame and no text."""

    hook: str
    kind: str
    code: CodeType | None
    line: int

    def place(self) -> str:
        """Give file, line and function of ours that raised it."""
        if self.code is None:
            return "nowhere of ours"
        return f"{self.code.co_filename.removeprefix(_OUR_FOLDER)}:{self.line} {self.code.co_name}"


def _failure(hook: str, error: BaseException) -> _Failure:
    code, line, steps = None, 0, error.__traceback__
    while steps is not None:
        if steps.tb_frame.f_code.co_filename.startswith(_OUR_FOLDER):
            code, line = steps.tb_frame.f_code, steps.tb_lineno
        steps = steps.tb_next
    return _Failure(hook, type(error).__name__, code, line)


class Guard:
    """The failures of all hooks of this process.

    ``failed`` may run in a finalizer or any thread, so it only notes; the watcher reads: it counts, and ``settle`` logs
    each failing hook once and calls the undo that takes it out.
    """

    def __init__(self) -> None:
        self._errors: dict[str, int] = {}
        self._undo: dict[str, list[Undo]] = {}
        self._failures: deque[_Failure] = deque(maxlen=_MOST_FAILURES)
        self._first: dict[str, _Failure] = {}
        self._out: set[str] = set()

    def add(self, hook: str, undo: Undo) -> None:
        """Remember how to take one part of ``hook`` out again, at any moment, whoever is running through it."""
        self._undo.setdefault(hook, []).append(undo)

    def failed(self, hook: str, error: BaseException) -> None:
        """Note that ``hook`` raised; the caller swallows the error. One of the host's own is raised again."""
        if is_hosts(error):
            raise error
        self.note(hook, error)

    def note(self, hook: str, error: BaseException) -> None:
        """Note that ``hook`` raised, on a thread of poolwatch's own."""
        self._failures.append(_failure(hook, error))

    @property
    def errors(self) -> dict[str, int]:
        """Count the failures by hook. Only one thread may ask at a time, as only one may ``settle``."""
        while self._failures:
            failure = self._failures.popleft()
            self._errors[failure.hook] = self._errors.get(failure.hook, 0) + 1
            self._first.setdefault(failure.hook, failure)
        return dict(self._errors)

    def settle(self) -> None:
        """Log what failed for the first time and take those hooks out."""
        for hook in self.errors.keys() - self._out:
            failure = self._first[hook]
            self._out.add(hook)
            log.error("hook %s failed and is taken out: %s at %s", hook, failure.kind, failure.place())
            self._run(self._undo.pop(hook, []))

    def is_out(self, hook: str) -> bool:
        """Tell whether ``hook`` failed and must not be put in again."""
        return hook in self._out

    def undo_all(self) -> None:
        """Take every hook out, newest first."""
        for hook in reversed(list(self._undo)):
            self._run(self._undo.pop(hook))

    def _run(self, undos: list[Undo]) -> None:
        for undo in reversed(undos):
            try:
                undo()
            except Exception as error:  # the host has cleared what we listened to
                log.debug("nothing to undo: %s at %s", type(error).__name__, _failure("", error).place())
