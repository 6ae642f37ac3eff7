"""Parsers of options' values. Each takes what a person gave and returns the value, or raises ValueError or its like."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from poolwatch.errors import HIDDEN

_LARGEST = 1024 * 1024
"""Bytes of a file that an option may name."""


def number(low: float, high: float) -> Callable[[object], float]:
    """Allow a number from ``low`` to ``high``."""

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(value)
        number = float(value)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return parse


def whole(low: int, high: int) -> Callable[[object], int]:
    """Allow a whole number from ``low`` to ``high``."""

    def parse(value: object) -> int:
        if isinstance(value, (bool, float)) or not isinstance(value, (int, str)):
            raise ValueError(value)
        number = int(value)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return parse


def switch(value: object) -> bool:
    """Allow true or false, in any of the usual words."""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words[str(value).strip().lower()]


def text(value: object) -> str | None:
    """Allow text, or a path; nothing is None."""
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise ValueError(value)
    return os.fspath(value) if value else None


def target(value: object) -> str | None:
    """Allow -, or the path of a file, unless it is plain already that it cannot be written; nothing is None."""
    path = text(value)
    if path is not None and path != "-" and not _is_writable(path):
        raise ValueError(value)
    return path


def _is_writable(path: str) -> bool:
    """Tell whether a file may be put there, in the place of another too, or a device or pipe be written to."""
    if os.path.isdir(path):
        return False
    if os.path.exists(path) and not os.path.isfile(path):
        return os.access(path, os.W_OK)
    folder = os.path.dirname(os.path.realpath(path))
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def address(value: object) -> str | None:
    """Allow HOST:PORT."""
    if not value:
        return None
    host, _, port = str(value).rpartition(":")
    if not host or not 0 <= int(port) <= 65535 or host.startswith("[") != host.endswith("]"):
        raise ValueError(value)
    return str(value)


def names(known: Iterable[str], least: int = 1) -> Callable[[object], tuple[str, ...]]:
    """Allow a list of known names, ``least`` of them or more, or one text with commas between them."""
    allowed = set(known)

    def parse(value: object) -> tuple[str, ...]:
        items = value.split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]
        if not all(isinstance(item, str) for item in items):
            raise ValueError(value)
        names = tuple(item.strip() for item in items if item.strip())
        if not set(names) <= allowed or len(names) < least:
            raise ValueError(value)
        return names

    return parse


def one_of(known: Iterable[str]) -> Callable[[object], str]:
    """Allow one of some names."""
    allowed = tuple(known)

    def parse(value: object) -> str:
        if value not in allowed:
            raise ValueError(value)
        return str(value)

    return parse


def moment_or_path(value: object) -> str | None:
    """Allow an ISO 8601 time, given as such again with its zone, or a path with a slash; nothing is None."""
    words = text(value)
    if words is None or "/" in words:
        return words
    return datetime.fromisoformat(words.replace("Z", "+00:00")).astimezone().isoformat()


def function(value: object) -> Callable[..., object] | None:
    """Allow something that can be called, or None."""
    if value is not None and not callable(value):
        raise ValueError(value)
    return value


def certificates(value: object) -> str | None:
    """Allow the path of a file in which certificates stand (PEM); nothing is None."""
    path = text(value)
    if path is not None and "-----BEGIN " not in _content(path):
        raise ValueError(value)
    return path


class Secret:
    """Text that must not be shown: ``repr`` gives at most the file it came from."""

    __slots__ = ("_text", "source")

    def __init__(self, text: str, source: str = "") -> None:
        self._text = text
        self.source = source

    def reveal(self) -> str:
        """Give the text, for sending and nothing else."""
        return self._text

    def __repr__(self) -> str:
        return repr(self.source) if self.source else HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def secret(check: Callable[[str], object]) -> Callable[[object], Secret | None]:
    """Allow text that ``check`` lets pass, or @FILE that holds it, read once; nothing is None."""

    def parse(value: object) -> Secret | None:
        if isinstance(value, Secret):
            return value
        given = text(value)
        if given is None:
            return None
        found = Secret(_content(given[1:]), given) if given.startswith("@") else Secret(given.strip())
        check(found.reveal())
        return found

    return parse


def _content(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        content = file.read(_LARGEST + 1).strip()
    if not content or len(content) > _LARGEST:
        raise ValueError(path)
    return content


def urls(given: str) -> list[str]:
    """Split URLs at commas and white space; each begins with http:// or https:// and names a host."""
    found = [url for url in re.split(r"[,\s]+", given) if url]
    if not found or not all(map(_is_url, found)):
        raise ValueError("no URL")
    return found


def _is_url(url: str) -> bool:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    printable = url.isascii() and url.isprintable()
    return printable and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0


_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\x20-\x7e]+)")
_OURS = {"host", "content-length", "content-type", "transfer-encoding", "connection"}


def headers(given: str) -> dict[str, str]:
    """Split lines of ``Name: value``; those that say how the request is sent are not allowed."""
    found: dict[str, Any] = {}
    for line in filter(None, map(str.strip, given.splitlines())):
        match = _HEADER.fullmatch(line)
        if match is None or match[1].lower() in _OURS:
            raise ValueError("no header")
        found[match[1]] = match[2]
    return found
