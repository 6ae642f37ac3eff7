"""Whether SQLAlchemy asks: what its pool takes from another pool is one loan, and SQLAlchemy's own hook reports it."""

from __future__ import annotations

import sys
from types import FrameType

from poolwatch.senses.installed import package_of
from poolwatch.senses.stack import inside

_ASKING = ("/sqlalchemy/pool/", "/sqlalchemy/util/concurrency", "/sqlalchemy/util/_concurrency")
"""Where its pool calls a creator, and where it awaits one."""
_NOT_BELOW = ("/sqlalchemy/event/", "/contextlib.py")
"""A listener asks for itself. A creator hands a connection on: it enters no block, but may be decorated with one."""
_DECORATED = "inner"
_FAR = 40
"""Callers looked through: a creator may ask in a helper that tries again."""


class _Asks(dict[str, bool | None]):
    """File name to whether SQLAlchemy asks there, or None where nobody further up matters; learnt once a file."""

    def __missing__(self, file: str) -> bool | None:
        path = file.replace("\\", "/")
        asks = None if any(part in path for part in _NOT_BELOW) else any(part in path for part in _ASKING)
        self[file] = asks
        return asks


_asks = _Asks()


def sqlalchemy_asks() -> bool:
    """Tell whether SQLAlchemy's pool is behind the caller, to hand on what it gets."""
    if "sqlalchemy.pool" not in sys.modules:
        return False
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_FAR):
        if frame is None:
            break
        asks = _asks[frame.f_code.co_filename]
        if asks or (asks is None and frame.f_code.co_name != _DECORATED):
            return bool(asks)
        frame = frame.f_back
    return False


def sqlalchemy_uses() -> bool:
    """Tell whether it is SQLAlchemy that calls the caller's driver, not the application."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and inside[file := frame.f_code.co_filename]:
        if package_of(file) == "sqlalchemy":
            return True
        frame = frame.f_back
    return False
