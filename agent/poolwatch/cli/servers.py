"""The database servers that the agent asks: which, since when not, and whence their DSNs come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from poolwatch.errors import PoolwatchError

if TYPE_CHECKING:
    from poolwatch.collecting.servers import Server

VARIABLE = "POOLWATCH_SERVERS"


def given(flags: Sequence[str] | None, pause: float) -> list[Server]:
    """Give the servers of ``--server``, or else of the environment, to be asked every ``pause`` seconds.

    Raises PoolwatchError, which quotes no DSN.
    """
    from poolwatch.collecting.servers import servers

    where, values = ("--server", flags) if flags else (VARIABLE, os.environ.get(VARIABLE, "").splitlines())
    try:
        return servers((dsn for value in values for dsn in _dsns(value.strip())), pause)
    except PoolwatchError as error:
        raise PoolwatchError(f"{where}: {error}") from error


def _dsns(value: str) -> list[str]:
    if not value.startswith("@"):
        return [value] if value else []
    try:
        lines = Path(value[1:]).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PoolwatchError(f"{value[1:]!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    dsns = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not dsns:
        raise PoolwatchError(f"{value[1:]!r} names no server")
    return dsns


@contextmanager
def asked(servers: Sequence[Server]) -> Iterator[None]:
    """Have the servers asked as long as the block runs."""
    for server in servers:
        server.start()
    try:
        yield
    finally:
        for server in servers:
            server.close()


class Teller:
    """Says which server cannot be asked, and which can again, when that is news."""

    def __init__(self, servers: Sequence[Server], say: Callable[[str], None]) -> None:
        self._servers = servers
        self._say = say
        self._troubles: dict[str, str | None] = {}

    def tell(self) -> None:
        """Say what has changed since the last call."""
        from poolwatch.collecting.servers import NOT_YET

        for server in self._servers:
            error, before = server.error, self._troubles.get(server.name)
            if error is None and before is not None:
                self._say(f"{server.name} answers again")
            if error is not None and before is None and error != NOT_YET:
                self._say(f"{server.name} cannot be asked, and is tried again: {error}")
            self._troubles[server.name] = None if error == NOT_YET else error
