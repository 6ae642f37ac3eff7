"""Statement text that may be shown: no literal, no comment, of bounded length. Parameters are never kept at all.

Nobody says in which dialect a statement is written, so it is read as each of them would read it: what one of them takes
for a literal or a comment is hidden, though another would show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

MOST = 500
"""Characters shown of a statement."""

# No part can fail once it has begun: what is not closed goes on to the end, so that reading takes linear time.
_TEXT = r"(?:\b(?:[ENXBRenxbr]|[Uu]&))?'(?:[^']|'')*(?:'|\Z)"
_TEXT_WITH_ESCAPES = r"(?:\b[ENXBRenxbr])?'(?:[^'\\]|''|\\.?)*(?:'|\Z)"
_ESCAPED_BY_E = r"\b[Ee]'(?:[^'\\]|''|\\.?)*(?:'|\Z)"
_TEXT_OF_Q = r"\b[Nn]?[Qq]'(?:\[.*?(?:\]'|\Z)|\{.*?(?:\}'|\Z)|\(.*?(?:\)'|\Z)|<.*?(?:>'|\Z)|(?P<q>\S).*?(?:(?P=q)'|\Z))"
_TEXT_IN_THREES = r"(?P<threes>'{3}|\"{3})(?:(?!(?P=threes))[^\\]|\\.?)*(?:(?P=threes)|\Z)"
_TEXT_IN_DOLLARS = r"\$(?P<tag>(?![0-9])[\w\x80-\U0010ffff]*)\$.*?(?:\$(?P=tag)\$|\Z)"
# in double quotes stands a name in PostgreSQL, but a text in MySQL
_DOUBLE = r'"(?:[^"]|"")*(?:"|\Z)'
_DOUBLE_WITH_ESCAPES = r'"(?:[^"\\]|""|\\.?)*(?:"|\Z)'
_NUMBER = r"(?:(?<![\w)\]])[+-]?\.?)?[0-9][\w.]*(?:(?<=[Ee])[+-][0-9]+)?"

_LINE = r"--[^\n]*"
_LINE_ENDED_BY_RETURN = r"--[^\r\n]*"
_LINE_AFTER_SPACE = r"--(?=[\x00-\x20]|\Z)[^\n]*"
_LINE_AFTER_HASH = r"\#[^\n]*"
_LINE_AFTER_SLASHES = r"//[^\n]*"
_BLOCK = r"/\*.*?(?:\*/|\Z)"
_BLOCK_WITH_CODE = r"/\*[Mm]?![0-9]*"
_BLOCK_IN_BLOCKS = r"/\*(?:[^*/]|\*(?!/)|/(?!\*))*(?:\*/|/\*.*|\Z)"  # with another inside, the rest is hidden

_WORD = r"(?![0-9$])[\w\x80-\U0010ffff][\w$\x80-\U0010ffff]*"
_BACKTICKS = r"`(?:[^`]|``)*(?:`|\Z)"
_BRACKETS = r"\[(?:[^\]]|\]\])*(?:\]|\Z)"


def _reading(literals: list[str], comments: list[str], names: list[str]) -> str:
    return rf"(?P<literal>{'|'.join([*literals, _NUMBER])})|(?P<comment>{'|'.join(comments)})|{'|'.join(names)}"


_MYSQLS = [_LINE_AFTER_SPACE, _LINE_AFTER_HASH, _BLOCK_WITH_CODE, _BLOCK]
_STANDARD = _reading([_TEXT, _DOUBLE], [_LINE, _BLOCK], [_WORD])
_READINGS = {
    "SQL, SQLite": _STANDARD,
    "SQLite, with names of others": _reading([_TEXT, _DOUBLE], [_LINE, _BLOCK], [_BACKTICKS, _BRACKETS, _WORD]),
    "PostgreSQL": _reading(
        [_ESCAPED_BY_E, _TEXT, _TEXT_IN_DOLLARS, _DOUBLE], [_LINE_ENDED_BY_RETURN, _BLOCK_IN_BLOCKS], [_WORD]
    ),
    "PostgreSQL, standard_conforming_strings off": _reading(
        [_TEXT_WITH_ESCAPES, _TEXT_IN_DOLLARS, _DOUBLE], [_LINE_ENDED_BY_RETURN, _BLOCK_IN_BLOCKS], [_WORD]
    ),
    "MySQL": _reading([_TEXT_WITH_ESCAPES, _DOUBLE_WITH_ESCAPES], _MYSQLS, [_BACKTICKS, _WORD]),
    "MySQL, ANSI_QUOTES": _reading([_TEXT_WITH_ESCAPES, _DOUBLE], _MYSQLS, [_BACKTICKS, _WORD]),
    "MySQL, NO_BACKSLASH_ESCAPES": _reading([_TEXT, _DOUBLE], _MYSQLS, [_BACKTICKS, _WORD]),
    "SQL Server": _reading([_TEXT, _DOUBLE], [_LINE, _BLOCK_IN_BLOCKS], [_BRACKETS, _WORD]),
    "Oracle": _reading([_TEXT_OF_Q, _TEXT, _DOUBLE], [_LINE, _BLOCK], [_WORD]),
    "BigQuery, GraphQL": _reading(
        [_TEXT_IN_THREES, _TEXT_WITH_ESCAPES, _DOUBLE_WITH_ESCAPES],
        [_LINE, _LINE_AFTER_HASH, _BLOCK],
        [_BACKTICKS, _WORD],
    ),
    "Snowflake": _reading(
        [_TEXT_WITH_ESCAPES, _TEXT_IN_DOLLARS, _DOUBLE], [_LINE, _LINE_AFTER_SLASHES, _BLOCK], [_WORD]
    ),
}
_DISPUTED = re.compile(r"[\\`\[#]|\$(?![0-9])|--|//|/\*(?:[Mm]?!|.*/\*)|[Qq]'|'{3}|\"{3}", re.DOTALL)
"""What dialects disagree on. In a text without it all see the same, so one reading will do."""


_PLACEHOLDER = r"(?<![\w$])\$[0-9]{1,5}(?![\w.$\x80-\U0010ffff])"
_WITH_PLACEHOLDERS = {"postgresql"}
"""Systems, by SQLAlchemy's names, in which ``$1`` stands for a parameter. In SQL Server it is an amount of money."""


def redact(statement: str, system: str = "") -> str:
    """Replace every literal by ``?`` and drop comments.

    Text in double quotes goes too, and so does the number of a placeholder, unless ``system``, the database's name,
    says that it can be nothing else.
    """
    # a long statement is cut first, so that an enormous INSERT costs nothing; a literal cut in two is still hidden
    return _redacted(statement[: 4 * MOST], f"|{_PLACEHOLDER}" if system in _WITH_PLACEHOLDERS else "")


@lru_cache(maxsize=256)
def _redacted(statement: str, shown: str) -> str:
    readings = _READINGS.values() if _DISPUTED.search(statement) else (_STANDARD,)
    hidden = sorted(span for reading in readings for span in _hidden(reading + shown, statement))
    parts: list[str] = []
    shown_to = 0
    for start, end, mark in _merged(hidden):
        parts += statement[shown_to:start], mark
        shown_to = end
    text = " ".join("".join([*parts, statement[shown_to:]]).split())
    return text if len(text) <= MOST else text[: MOST - 3] + "..."


def _hidden(reading: str, statement: str) -> Iterator[tuple[int, int, str]]:
    """Give start, end and what is shown instead."""
    for found in _compiled(reading).finditer(statement):
        if found.lastgroup is not None:
            yield *found.span(), " " if found.lastgroup == "comment" else "?"


@cache
def _compiled(reading: str) -> re.Pattern[str]:
    """Compile when it is needed: most programs need one reading, and none of them at their start."""
    return re.compile(reading, re.DOTALL)


def _merged(hidden: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Join what overlaps; a comment that somebody takes for more, or for less, is a literal."""
    start, end, mark = 0, 0, ""
    for following in hidden:
        if following[0] < end:
            end, mark = max(end, following[1]), max(mark, following[2])
            continue
        if mark:
            yield start, end, mark
        start, end, mark = following
    if mark:
        yield start, end, mark
