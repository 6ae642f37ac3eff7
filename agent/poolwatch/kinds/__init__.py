"""What each kind of finding means, whence it comes and how it is cured, for people who meet it for the first time.

``poolwatch explain`` and docs/findings.md are made from here, and hints from the detectors' own. Nothing that runs in
a watched process imports this.
"""

from __future__ import annotations

from poolwatch.kinds import crossings, holds, leaks, servers, starvation
from poolwatch.kinds.kind import Example, Family, Kind

__all__ = ["CATALOGUE", "FAMILIES", "PREAMBLE", "Example", "Family", "Kind"]

FAMILIES = (leaks.FAMILY, crossings.FAMILY, starvation.FAMILY, holds.HOLDS, holds.DRIFT, servers.FAMILY)
CATALOGUE: dict[str, Kind] = {kind.name: kind for family in FAMILIES for kind in family.kinds}

PREAMBLE = """\
import asyncio, os, threading, time
from sqlalchemy import create_engine, text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

ONE = text("SELECT 1")
SLOW = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 900000) SELECT max(i) FROM n")
engine = create_engine(
    "sqlite:///shop.db", pool_size=2, max_overflow=0, pool_timeout=1, connect_args={"check_same_thread": False}
)
kept = []


def in_threads(*works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""
"""How every example begins."""
