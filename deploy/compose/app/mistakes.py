"""The mistakes that the shop can make. A switch is a file, so that all worker processes see it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SWITCHES = Path(os.environ.get("SHOP_SWITCHES", "/tmp/mistakes"))
ONE = text("SELECT 1")
WHILE_THE_CARD_IS_READ = 20.0
"""Seconds."""

kept: list[Connection] = []


def forget(engine: Engine, customer: int) -> None:
    """Keep a connection for one customer in twenty, and never think of it again."""
    if customer % 20 == 0:
        connection = engine.connect()
        connection.execute(ONE)
        kept.append(connection)


def drop(engine: Engine, customer: int) -> None:
    """Let a connection go without closing it: the garbage collector gives it back, some time."""
    engine.connect().execute(ONE)


def dawdle(engine: Engine, customer: int) -> None:
    """Wait for somebody else inside a transaction, for one customer in twenty."""
    if customer % 20 == 0:
        with engine.begin() as connection:
            connection.execute(ONE)
            time.sleep(WHILE_THE_CARD_IS_READ)


ALL: dict[str, Callable[[Engine, int], None]] = {"forget": forget, "drop": drop, "dawdle": dawdle}


def made_now() -> Iterator[Callable[[Engine, int], None]]:
    """Give the mistakes that are switched on; gives back what was kept where they no longer are."""
    if not is_on("forget"):
        while kept:
            kept.pop().close()
    return (make for name, make in ALL.items() if is_on(name))


def is_on(name: str) -> bool:
    """Tell whether a mistake is made now."""
    return (SWITCHES / name).exists()


def switch(name: str, on: bool) -> None:
    """Begin or end a mistake, in all worker processes."""
    SWITCHES.mkdir(parents=True, exist_ok=True)
    if on:
        (SWITCHES / name).touch()
    else:
        (SWITCHES / name).unlink(missing_ok=True)
