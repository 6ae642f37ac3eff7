"""Maintenance: a time until which, or a file while which, nothing is sent."""

from __future__ import annotations

import os
from datetime import datetime


class Silence:
    """What the option ``alert_silence`` asks for; None asks for nothing."""

    def __init__(self, asked: str | None) -> None:
        self._file = asked if asked and "/" in asked else None
        self._until = datetime.fromisoformat(asked).timestamp() if asked and not self._file else 0.0

    def reigns(self, now: float) -> bool:
        """Tell whether nothing may be sent at ``now``, Unix time."""
        return now < self._until or (self._file is not None and os.path.exists(self._file))
