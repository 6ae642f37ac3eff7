"""Whether SQLAlchemy asks: what its pool takes from another pool is one loan, and SQLAlchemy's own hook reports it."""

from __future__ import annotations

import sys
from types import FrameType

_PARTS = ("/sqlalchemy/pool/", "/sqlalchemy/util/")
"""Where its pool calls a creator, and where it awaits one."""


_NOT_BELOW = "/contextlib.py"
"""A creator hands a connection on; it enters no block."""


class _Asks(dict[str, bool | None]):
    """File name to whether it is one of those, or None where nobody further up matters; learnt once a file."""

    def __missing__(self, file: str) -> bool | None:
        path = file.replace("\\", "/")
        asks = self[file] = None if path.endswith(_NOT_BELOW) else any(part in path for part in _PARTS)
        return asks


_asks = _Asks()


def sqlalchemy_asks(frames: int) -> bool:
    """Tell whether SQLAlchemy's pool is among the nearest ``frames`` callers of the caller."""
    if "sqlalchemy.pool" not in sys.modules:
        return False
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frames:
        asks = _asks[frame.f_code.co_filename]
        if asks is not False:
            return bool(asks)
        frame, frames = frame.f_back, frames - 1
    return False
