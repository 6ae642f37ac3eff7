"""greenlet, once the host has imported it: before that none can run, and asking for one would cost every lease."""

from __future__ import annotations

import sys
from typing import Any

getcurrent: Any = None
"""Gives the greenlet that runs; None where the host has not imported ``greenlet``."""


def may_run() -> None:
    """Ask for the greenlet from now on; to be called when the host has imported ``greenlet``."""
    global getcurrent
    from greenlet import getcurrent as found

    getcurrent = found


if "greenlet" in sys.modules:
    may_run()
