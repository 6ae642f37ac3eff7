"""Connects: the one private method through which every connection record opens its connection, and opens it anew."""

from __future__ import annotations

from typing import Any

from sqlalchemy.pool import base

from poolwatch.guard import Guard
from poolwatch.hooks.patch import patch
from poolwatch.ledger import Ledger
from poolwatch.ledger.connecting import Connecting

_HOOK = "sqlalchemy.connects"
_CONNECT = "_ConnectionRecord__connect"


def install(ledger: Ledger, guard: Guard) -> None:
    """See the begin and the end of every connect, also where the application has its own ``creator``."""
    original = getattr(base._ConnectionRecord, _CONNECT)

    def connect(self: Any) -> Any:
        with Connecting(ledger):
            return original(self)

    patch(guard, _HOOK, base._ConnectionRecord, _CONNECT, connect)
