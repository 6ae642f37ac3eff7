"""What keeps poolwatch from breaking its host: a hook that fails is counted, logged once and taken out."""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Callable
from types import FrameType

from poolwatch.libraries import POOL_LIBRARIES

log = logging.getLogger("poolwatch")
log.addHandler(logging.NullHandler())  # silent where the host has set up no logging

Undo = Callable[[], None]
_OUR_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CO_VARARGS = 4
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
    values = [frame.f_locals.get(name) for name in names]
    given = [*values, *(inner for value in values if type(value) is tuple for inner in value)]
    return frame.f_back is not None and any(value is frame.f_back for value in given)


class Guard:
    """The failures of all hooks of this process.

    ``failed`` may run in a finalizer or any thread, so it only counts and notes; ``settle`` is the watcher's
    part: it logs each failing hook once and calls the undo that takes it out.
    """

    def __init__(self) -> None:
        self.errors: dict[str, int] = {}
        self._undo: dict[str, list[Undo]] = {}
        self._silence: dict[str, list[Undo]] = {}
        self._news: deque[tuple[str, BaseException]] = deque(maxlen=100)
        self._out: set[str] = set()

    def add(self, hook: str, undo: Undo, silence: Undo | None = None) -> None:
        """Remember how to take one part of ``hook`` out again.

        ``silence`` is for a part that cannot be taken out while the host may be running through it: where the hook
        fails it is silenced, and taken out at the end.
        """
        self._undo.setdefault(hook, []).append(undo)
        if silence is not None:
            self._silence.setdefault(hook, []).append(silence)

    def failed(self, hook: str, error: BaseException) -> None:
        """Note that ``hook`` raised; the caller swallows the error. One of the host's own is raised again."""
        if is_hosts(error):
            raise error
        self.note(hook, error)

    def note(self, hook: str, error: BaseException) -> None:
        """Note that ``hook`` raised, on a thread of poolwatch's own."""
        self.errors[hook] = self.errors.get(hook, 0) + 1
        self._news.append((hook, error.with_traceback(None)))

    def settle(self) -> None:
        """Log what failed since the last call and take those hooks out."""
        while self._news:
            hook, error = self._news.popleft()
            if hook in self._out:
                continue
            self._out.add(hook)
            log.error("hook %s failed and is taken out: %s: %s", hook, type(error).__name__, error)
            silences = self._silence.pop(hook, None)
            self._run(silences or self._undo.pop(hook, []))

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
                log.debug("nothing to undo: %s: %s", type(error).__name__, error)
