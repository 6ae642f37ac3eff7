"""What a ``with`` block keeps for each who has entered it: one object may be entered by many at once."""

from __future__ import annotations

from typing import Generic, TypeVar

from poolwatch.senses.actor import current

_Entry = TypeVar("_Entry")


class Nested(Generic[_Entry]):
    """The entries of each thread, task or greenlet, innermost last."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[int, list[_Entry]] = {}

    def push(self, entry: _Entry) -> None:
        """Keep what whoever runs here has entered with."""
        self._entries.setdefault(current().key, []).append(entry)

    def pop(self) -> _Entry:
        """Give the last entry of whoever runs here; a generator may be finished by another than began it."""
        key = current().key
        if key not in self._entries:
            key = next(reversed(self._entries))
        entry = self._entries[key].pop()
        if not self._entries[key]:
            del self._entries[key]
        return entry
