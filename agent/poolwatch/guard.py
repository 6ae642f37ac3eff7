"""What keeps poolwatch from breaking its host: a hook that fails is counted, logged once and taken out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

log = logging.getLogger("poolwatch")
log.addHandler(logging.NullHandler())  # silent where the host has set up no logging

Undo = Callable[[], None]


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
        """Note that ``hook`` raised; the caller swallows the error."""
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
