"""Which pool a transport belongs to: one for each class and URL, so that clients made per request are one pool."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from poolwatch.ledger import Ledger
from poolwatch.ledger.pools import MOST_POOLS, Home

_ledger: Ledger
_homes: dict[tuple[str, str], Home] = {}
"""By class and URL; they keep a pool known while none of its transports is connected."""


def install(ledger: Ledger) -> None:
    """Begin with no pools."""
    global _ledger
    _ledger = ledger
    _homes.clear()


def home_of(transport: Any) -> Home:
    """Give the home of a transport; beyond so many URLs there is one for the rest of each class."""
    cls = type(transport).__name__
    name = _name(transport)
    home = _homes.get((cls, name))
    if home is None:
        if len(_homes) >= MOST_POOLS:
            name = "(other)"
        home = _homes.get((cls, name)) or _new(cls, name)
    return home


def _new(cls: str, name: str) -> Home:
    pool = _ledger.pool_for(name, "gql", cls)
    home = _homes[cls, name] = Home(pool)
    _ledger.homes[id(pool)] = home
    return home


def _name(transport: Any) -> str:
    return _public(str(getattr(transport, "url", ""))) or type(transport).__name__


@lru_cache(maxsize=128)
def _public(url: str) -> str:
    """Give host, port and path of a URL: no credentials, no query; empty where it has no host."""
    parts = urlsplit(url)
    if not parts.hostname:
        return ""
    return parts.hostname + (f":{parts.port}" if parts.port else "") + parts.path
