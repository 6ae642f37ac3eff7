"""A small fake SQL Server (TDS 7.4): enough for FreeTDS to log in, run statements and read rows.

    python faketds.py PORT

What a statement may say, anywhere in it, and what it gets:

    SELECT with FROM       an integer column for each item of its list, 20 rows: 1 1 ..., 2 2 ...
    SELECT without FROM    one row with the integer 1
    ROWS(n)                n rows instead
    WAITFOR DELAY 'h:m:s'  the answer comes that much later
    anything else          success, no rows

Parameters are accepted and not looked at. Transactions always succeed; nothing is stored. The protocol is
Microsoft's [MS-TDS]; the section names are in the comments. Standard library only, so it runs by itself.
"""

from __future__ import annotations

import itertools
import re
import socket
import socketserver
import struct
import sys
import time

HOST = "127.0.0.1"
_PACKET = 4096
_LAST_PACKET = 0x01
_COLLATION = bytes([0x09, 0x04, 0xD0, 0x00, 0x34])
_DEFAULT_ROWS = 20

# 2.2.3.1.1 Type of a message
_BATCH, _RPC, _REPLY, _ATTENTION, _TRANSACTION, _LOGIN, _PRELOGIN = 0x01, 0x03, 0x04, 0x06, 0x0E, 0x10, 0x12
# 2.2.7 Tokens
_RETURN_STATUS, _COLUMNS, _RETURN_VALUE, _LOGIN_ACK, _ROW = 0x79, 0x81, 0xAC, 0xAD, 0xD1
_ENVIRONMENT, _DONE, _DONE_PROCEDURE, _DONE_IN_PROCEDURE = 0xE3, 0xFD, 0xFE, 0xFF
_INTEGER, _TEXT = 0x26, 0xE7
_COUNTED, _ATTENTION_SEEN = 0x10, 0x20
# 2.2.6.7 Requests to the transaction manager, and 2.2.7.9 what the environment then is told
_TRANSACTION_EVENTS = {5: 8, 7: 9, 8: 10}

Row = tuple[int | str, ...]

_KNOWN: tuple[tuple[str, str], ...] = (
    ("productversion", "15.0.4153.1"),
    ("schema_name", "dbo"),
    ("test max support", "test max support"),
    ("transaction_isolation_level", "READ COMMITTED"),
    ("dm_exec_sessions", "READ COMMITTED"),
)
"""What SQLAlchemy asks of a new connection: a word of the question, and the answer."""


class Session(socketserver.BaseRequestHandler):
    """One client from login to goodbye."""

    request: socket.socket

    def handle(self) -> None:
        """Answer messages until the client goes away."""
        try:
            while True:
                kind, body = self._receive()
                self._send(reply(kind, body))
        except (EOFError, ConnectionError):
            return

    def _receive(self) -> tuple[int, bytes]:
        body = b""
        while True:
            kind, status, length = struct.unpack(">BBH4x", self._read(8))
            body += self._read(length - 8)
            if status & _LAST_PACKET:
                return kind, body

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.request.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _send(self, body: bytes) -> None:
        room = _PACKET - 8
        pieces = [body[start : start + room] for start in range(0, len(body), room)]
        for number, piece in enumerate(pieces, start=1):
            status = _LAST_PACKET if number == len(pieces) else 0
            header = struct.pack(">BBHHBB", _REPLY, status, len(piece) + 8, 51, number & 255, 0)
            self.request.sendall(header + piece)


def reply(kind: int, body: bytes) -> bytes:
    """Give the answer to one message."""
    if kind == _PRELOGIN:
        return _prelogin()
    if kind == _LOGIN:
        return _welcome()
    if kind == _BATCH:
        return answer(_without_headers(body).decode("utf-16-le"), _DONE)
    if kind == _RPC:
        return _call(_without_headers(body))
    if kind == _TRANSACTION:
        return _transaction(_without_headers(body))
    return _done(_DONE, _ATTENTION_SEEN if kind == _ATTENTION else 0)


def answer(statement: str, done: int) -> bytes:
    """Give what one statement gets, closed by a token of kind ``done``."""
    words = statement.lower()
    if delay := re.search(r"waitfor delay '(\d+):(\d+):([\d.]+)'", words):
        time.sleep(int(delay[1]) * 3600 + int(delay[2]) * 60 + float(delay[3]))
    for word, text in _KNOWN:
        if word in words:
            return _table([""], [(text,)], done)
    select = re.search(r"\bselect\b(.*?)(\bfrom\b|$)", words, re.DOTALL)
    if select is None:
        return _done(done)
    wanted = re.search(r"rows\((\d+)\)", words)
    count = int(wanted[1]) if wanted else _DEFAULT_ROWS if select[2] else 1
    names = _names(select[1])
    return _table(names, [(number,) * len(names) for number in range(1, count + 1)], done)


def _names(items: str) -> list[str]:
    """Give a column's name for each item of a SELECT's list; empty where it has none."""
    outside = re.sub(r"\([^()]*\)", "", items)
    aliases = [re.search(r"\bas \[?(\w+)\]?\s*$", item) for item in outside.split(",")]
    return [alias[1] if alias else "" for alias in aliases]


def _table(names: list[str], rows: list[Row], done: int) -> bytes:
    types = [_TEXT if rows and isinstance(value, str) else _INTEGER for value in (rows[0] if rows else names)]
    head = struct.pack("<BH", _COLUMNS, len(names))
    columns = b"".join(_column(name, kind) for name, kind in zip(names, types, strict=True))
    lines = b"".join(bytes([_ROW]) + b"".join(_value(value) for value in row) for row in rows)
    return head + columns + lines + _done(done, _COUNTED, len(rows))


def _column(name: str, kind: int) -> bytes:
    shape = b"\x04" if kind == _INTEGER else struct.pack("<H", 8000) + _COLLATION
    return struct.pack("<IHB", 0, 9, kind) + shape + _short_text(name)


def _value(value: int | str) -> bytes:
    if isinstance(value, int):
        return struct.pack("<Bi", 4, value)
    data = value.encode("utf-16-le")
    return struct.pack("<H", len(data)) + data


def _call(body: bytes) -> bytes:
    """Answer a procedure call: the statement is its longest text, and a handle is given where one is due."""
    texts = re.findall(rb"(?:[\t\n\r -~]\0){4,}", body)
    statement = max(texts, key=len, default=b"").decode("utf-16-le")
    handle = struct.pack("<BHBBIHBBBi", _RETURN_VALUE, 0, 0, 1, 0, 0, _INTEGER, 4, 4, next(_handles))
    rows = answer(statement, _DONE_IN_PROCEDURE) if statement else b""
    return rows + struct.pack("<Bi", _RETURN_STATUS, 0) + handle + _done(_DONE_PROCEDURE)


def _transaction(body: bytes) -> bytes:
    event = _TRANSACTION_EVENTS.get(struct.unpack_from("<H", body)[0], 8)
    number = b"\x08" + struct.pack("<Q", 1)
    new, old = (number, b"\0") if event == 8 else (b"\0", number)
    return _environment(event, new, old) + _done(_DONE)


def _prelogin() -> bytes:
    no_encryption = b"\x02"
    options = [bytes([15, 0, 0x10, 0x3F, 0, 0]), no_encryption, b"\0", b"", b"\0"]
    starts = itertools.accumulate((len(option) for option in options), initial=5 * len(options) + 1)
    head = b"".join(
        struct.pack(">BHH", kind, start, len(option))
        for kind, (start, option) in enumerate(zip(starts, options, strict=False))
    )
    return head + b"\xff" + b"".join(options)


def _welcome() -> bytes:
    server = b"\x01\x74\x00\x00\x04" + _short_text("Microsoft SQL Server") + bytes([15, 0, 0x10, 0x3F])
    size = _short_text(str(_PACKET))
    return b"".join(
        (
            _environment(1, _short_text("master"), _short_text("master")),
            _environment(7, bytes([len(_COLLATION)]) + _COLLATION, b"\0"),
            _environment(2, _short_text("us_english"), b"\0"),
            struct.pack("<BH", _LOGIN_ACK, len(server)) + server,
            _environment(4, size, size),
            _done(_DONE),
        )
    )


def _environment(kind: int, new: bytes, old: bytes) -> bytes:
    return struct.pack("<BHB", _ENVIRONMENT, 1 + len(new) + len(old), kind) + new + old


def _done(token: int, status: int = 0, rows: int = 0) -> bytes:
    command = 0xC1 if status & _COUNTED else 0
    return struct.pack("<BHHQ", token, status, command, rows)


def _short_text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("utf-16-le")


def _without_headers(body: bytes) -> bytes:
    return body[struct.unpack_from("<I", body)[0] :]


_handles = itertools.count(1)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    with _Server((HOST, int(sys.argv[1])), Session) as server:
        server.serve_forever()
