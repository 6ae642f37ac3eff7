"""The token that a served address may ask for: in a file, since a command line is seen by everybody on the machine."""

from __future__ import annotations

from pathlib import Path

from poolwatch.errors import PoolwatchError

FLAG = "--token-file"
_SHORTEST = 16


def read(path: str | None) -> str | None:
    """Give the token in the file that ``--token-file`` names, None where there is none; raises PoolwatchError."""
    if path is None:
        return None
    try:
        token = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PoolwatchError(f"{FLAG}: {path!r} cannot be read: {error}") from error
    if len(token) < _SHORTEST or len(token.split()) != 1:
        raise PoolwatchError(f"{FLAG}: {path!r} must hold one word of at least {_SHORTEST} characters")
    return token
