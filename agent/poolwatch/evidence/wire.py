"""When data last went over a connection, as the system knows it: a use that no hook sees, as of a driver's own cursor.

Only the system is asked, and only of TCP on Linux; nothing is read, sent or changed.
"""

from __future__ import annotations

import sys
from functools import cache
from struct import unpack_from
from typing import Any

from poolwatch.senses.sockets import descriptor

_IPPROTO_TCP = 6
_TCP_INFO = 11
_LAST_DATA_SENT, _LAST_DATA_RECEIVED = 44, 52
"""Offsets of milliseconds in ``struct tcp_info`` of ``linux/tcp.h``."""
_ENOUGH = 56


def quiet_for(connection: Any) -> float | None:
    """Give the seconds since data last went either way on a driver's connection, 0 while an answer is awaited.

    None where the system does not say: files, Unix sockets, other systems than Linux. Its clock ticks every few
    milliseconds: what is asked in the tick of an earlier answer passes for answered.
    """
    number = descriptor(connection)
    facts = None if number is None else _tcp_info(number)
    if facts is None:
        return None
    (sent,), (received,) = unpack_from("I", facts, _LAST_DATA_SENT), unpack_from("I", facts, _LAST_DATA_RECEIVED)
    return 0.0 if sent < received else received / 1000


def _tcp_info(number: int) -> bytes | None:
    # not through a socket object: making one sets the host's socket to non-blocking where it has a default timeout
    try:
        import ctypes

        buffer, length = ctypes.create_string_buffer(104), ctypes.c_uint(104)
        failed = _libc().getsockopt(number, _IPPROTO_TCP, _TCP_INFO, buffer, ctypes.byref(length))
        return None if failed or length.value < _ENOUGH else buffer.raw
    except Exception:  # Pythons without ctypes
        return None


@cache
def _libc() -> Any:
    import ctypes

    if sys.platform != "linux":
        raise OSError(sys.platform)
    return ctypes.CDLL(None)
