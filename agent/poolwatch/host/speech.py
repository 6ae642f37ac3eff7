"""What poolwatch says through ``logging``.

Handlers are the host's. They may wait, raise, fork, or take a connection of a watched pool, so while a program
is watched a thread of ours calls them, and nobody waits for it: but for forks and the end of the process, a second.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

from poolwatch.host.courier import Courier
from poolwatch.host.native import with_collector_paused

PATIENCE = 1.0
"""Seconds that a fork, or the end of the process, waits for the host's handlers."""
_courier: Courier | None = None
_dropped = 0
_Place = tuple[str, int]

logging.getLogger("poolwatch").addHandler(logging.NullHandler())  # silent where the host has set up no logging


class Log:
    """A logger of poolwatch's. Arguments are kept until the line is said: text and numbers, nothing of the host's."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, text: str, *args: object) -> None:
        """Say what only a developer of poolwatch wants to know."""
        self._send(logging.DEBUG, text, args)

    def warning(self, text: str, *args: object) -> None:
        """Say that something is wrong."""
        self._send(logging.WARNING, text, args)

    def error(self, text: str, *args: object) -> None:
        """Say that something has failed."""
        self._send(logging.ERROR, text, args)

    def exception(self, text: str, *args: object) -> None:
        """Say that something has failed, with the error that is being handled as text: its frames are not kept."""
        self._send(logging.ERROR, text, args, traceback.format_exc())

    def _send(self, level: int, text: str, args: tuple[object, ...], trace: str | None = None) -> None:
        caller = sys._getframe(2)
        place = (caller.f_code.co_filename, caller.f_lineno)
        say(partial(self.say_now, level, text, args, place, {}, trace))

    def say_now(
        self,
        level: int,
        text: str,
        args: tuple[object, ...],
        place: _Place,
        facts: dict[str, str],
        trace: str | None = None,
    ) -> None:
        """Hand a line to the host's handlers in this thread, ``facts`` as attributes of its record."""
        if self._logger.isEnabledFor(level):
            record = self._logger.makeRecord(self._logger.name, level, *place, text, args, None)
            record.exc_text = trace
            vars(record).update(facts)  # as `extra`, which refuses names that the host's factory has set
            _hand_on(self._logger, record)


def _hand_on(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Do what ``Logger.handle`` does, but leave out streams that are closed already: it would complain of them."""
    kept: object = logger.filter(record)  # true, or from Python 3.12 on a record to take instead
    if logger.disabled or not kept:
        return
    record = kept if isinstance(kept, logging.LogRecord) else record
    above: logging.Logger | None = logger
    while above is not None:
        for handler in list(above.handlers):
            if record.levelno >= handler.level and not _is_closed(handler):
                handler.handle(record)
        above = above.parent if above.propagate else None


def _is_closed(handler: logging.Handler) -> bool:
    return getattr(getattr(handler, "stream", None), "closed", False) is True


def say(line: Callable[[], object]) -> None:
    """Have ``line`` called in its turn by the thread that speaks, or at once where no program is watched."""
    global _dropped
    courier = _courier
    if courier is None:
        line()
    elif not courier.send(partial(_unheard, line)):
        _dropped += 1


def _unheard(line: Callable[[], object]) -> None:
    """Call the host's handlers; what one raises is not poolwatch's to tell, nor may it end the thread."""
    with suppress(BaseException):
        with_collector_paused(line)


def begin() -> None:
    """Have a thread speak from now on."""
    global _courier, _dropped
    _courier, _dropped = Courier(lambda error: None, here=False), 0
    _courier.stand_by()


def dropped() -> int:
    """Give how many lines were never said: too many waited for a handler that hangs."""
    return _dropped


def pause() -> None:
    """Let the thread finish its line and end, as before a fork; the other lines wait."""
    if _courier is not None:
        _courier.pause(PATIENCE)


def go_on() -> None:
    """Have a thread again that speaks."""
    if _courier is not None:
        _courier.stand_by()


def finish(seconds: float = PATIENCE) -> None:
    """Wait for all lines, and take from a handler that hangs then what the interpreter's end waits for: its lock."""
    if _courier is not None and not _courier.wait(seconds):
        frame = sys._current_frames().get(_courier.ident)
        while frame is not None:
            _unlock(frame)
            frame = frame.f_back


def _unlock(frame: FrameType) -> None:
    """Give a handler that this frame is in another lock: ``logging.shutdown`` takes those of all handlers."""
    handler = frame.f_locals.get("self")
    if issubclass(type(handler), logging.Handler):
        handler.lock = threading.RLock()  # type: ignore[union-attr]


def end() -> None:
    """Say what waits, and let each thread speak for itself again."""
    global _courier
    courier, _courier = _courier, None
    if courier is not None:
        courier.stop(PATIENCE)
