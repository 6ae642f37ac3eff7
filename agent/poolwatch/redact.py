"""Statement text that may be shown: no literal, no comment, of bounded length. Parameters are never kept at all."""

from __future__ import annotations

import re
from functools import lru_cache

MOST = 500
"""Characters shown of a statement."""

_HIDDEN = re.compile(
    r"""
      (?P<comment> /\*.*?(?:\*/|\Z) | --[^\n]* )
    | (?P<dollar> \$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z) )
    | (?P<text> [EeNnXxBb]?'(?:[^'\\]|''|\\.)*(?:'|\Z) )
    | (?P<quoted> "(?:[^"\\]|""|\\.)*(?:"|\Z) )
    | (?P<number> (?<![\w$%:@.`])[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b )
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=256)
def redact(statement: str) -> str:
    """Replace every literal by ``?`` and drop comments.

    Text in double quotes goes too: it names a column in PostgreSQL, but is a string in MySQL.
    """
    # a long statement is cut first, so that an enormous INSERT costs nothing; a literal cut in two is still hidden
    shown = " ".join(_HIDDEN.sub(_replacement, statement[: 4 * MOST]).split())
    return shown if len(shown) <= MOST else shown[: MOST - 3] + "..."


def _replacement(found: re.Match[str]) -> str:
    return " " if found.lastgroup == "comment" or found["comment"] else "?"
