"""Where a database server is and how to log in there: read from a DSN, whose password is shown to nobody.

What is wrong with a DSN is said without quoting it: a password with a character out of place may be anywhere in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from poolwatch.errors import PoolwatchError

_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306}
_DIALECTS = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
_WORD = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)")
_NAMES = ("host", "port", "user", "password", "dbname")
FORMS = "postgresql://user@host:5432/database, host=... user=... dbname=..., or mysql://user@host:3306/database"


@dataclass(frozen=True, slots=True)
class Target:
    """One server. ``options`` are libpq's own, such as ``sslmode``."""

    dialect: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Name the server as ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def without_password(self, text: str) -> str:
        """Give a driver's words without the password, should they have it."""
        return text.replace(self.password, "***") if self.password else text


def target(dsn: str) -> Target:
    """Read a DSN: a URL, with or without SQLAlchemy's driver in it, or libpq's words. Raises PoolwatchError."""
    try:
        dialect, found, options = _of_url(dsn) if "://" in dsn else _of_words(dsn)
        port = int(found.get("port") or _DEFAULT_PORTS[dialect])
    except (ValueError, KeyError):
        raise PoolwatchError(f"not a server's DSN; use {FORMS}") from None
    host = found.get("host", "")
    if not host or host.startswith("/") or not 0 < port < 65536:
        raise PoolwatchError("a DSN must name one host and its port: pools are known by the address they speak to")
    return Target(dialect, host, port, found.get("user"), found.get("password"), found.get("dbname"), options)


def _of_url(dsn: str) -> tuple[str, dict[str, str], dict[str, str]]:
    parts = urlsplit(dsn)
    options = dict(parse_qsl(parts.query))
    given = (parts.hostname, str(parts.port or ""), parts.username, parts.password, parts.path.removeprefix("/"))
    found = {name: unquote(value) for name, value in zip(_NAMES, given, strict=True) if value}
    found = {**{name: options.pop(name) for name in _NAMES if name in options}, **found}
    return _DIALECTS[parts.scheme.partition("+")[0]], found, options


def _of_words(dsn: str) -> tuple[str, dict[str, str], dict[str, str]]:
    words: dict[str, str] = {}
    rest = dsn.rstrip()
    while rest:
        word = _WORD.match(rest)
        if word is None:
            raise ValueError("no word")
        value = word[2][1:-1] if word[2].startswith("'") else word[2]
        words[word[1]] = re.sub(r"\\(.)", r"\1", value)
        rest = rest[word.end() :]
    found = {name: words.pop(name) for name in _NAMES if name in words}
    return "postgresql", found, words
