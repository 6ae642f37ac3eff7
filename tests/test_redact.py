"""What may be shown of a statement: no literal and no comment, in whatever dialect it is written."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poolwatch.ledger import redact as module
from poolwatch.ledger.redact import MOST, redact

SECRET = "geheim"
NASTY = st.text("'\"`\\$#-/*[](){}<>!;:=.,%@&qQnNeErRxM1 \n\rü", max_size=6)
CONTENT = st.builds(lambda before, after: before + SECRET + after, NASTY, NASTY)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("select * from users where name = 'O''Brien' and id = 42", "select * from users where name = ? and id = ?"),
        ("select t1.c2 from t1 where x = %(x_1)s and y = :y", "select t1.c2 from t1 where x = %(x_1)s and y = :y"),
        ("select $1::int, a$1, v$session from t1", "select $?::int, a$1, v$session from t1"),
        ("insert into t values (\"secret\", 1.5e3, N'a', x'00')", "insert into t values (?, ?, ?, ?)"),
        ("insert into t values (E'a\\'b', 'c') returning id", "insert into t values (?"),
        ("select 1 /* user=bob */ -- token 'x'\n, 2", "select ? , ?"),
        ("do $body$ secret 'a' $body$", "do ?"),
        ("do $a1$secret$a1$ language plpgsql", "do ? language plpgsql"),
        ("select 'never closed", "select ?"),
        ("select 'never closed\\", "select ?"),
        ("WHERE path = 'C:\\' AND name = 'Alice Smith'", "WHERE path = ?"),
        ("values (0xDEADBEEF, 0b101, 1_000, .5, t.c, -1.5e-3, a-1, 1e)", "values (?, ?, ?, ?, t.c, ?, a-?, ?)"),
        ("select a # user=bob@example.com\n, b from t", "select a , b from t"),
        ("select a, /* a /* b */ secret */ b", "select a,"),
        ("select `it's`, 'secret' from `t`", "select `it?"),
        ("select `name` from `t` where [id] = 7", "select `name` from `t` where [id] = ?"),
        ("select q'[it's secret]' from dual", "select ?"),
        ("select arr['secret'], arr[1:2] from t", "select arr[?], arr[?:?] from t"),
        ("select /*!40001 a, */ b", "select b"),
    ],
)
def test_literals_and_comments_are_hidden(statement: str, shown: str) -> None:
    """Literals become a question mark and comments go; names and placeholders stay, but for their numbers."""
    assert redact(statement) == shown


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("select $1::int, f($2), $65535", "select $1::int, f($2), $65535"),
        ("select a$1, 7 from t where b=$3;", "select a$1, ? from t where b=$3;"),
        ("select $12.50, $1.x, $123456, $1$a", "select $?, $?, $?, $?$a"),
        ("select '$1', $$ $2 $$, $3", "select ?, ?, $3"),
        ("select $1 -- $2\n, /* $3 */ $4", "select $1 , $4"),
        ("select E'\\'$1', $2", "select ?"),
    ],
)
def test_placeholders_of_postgresql_keep_their_numbers(statement: str, shown: str) -> None:
    """In PostgreSQL ``$1`` is a parameter, wherever it is no text; elsewhere it may be money."""
    assert redact(statement, "postgresql") == shown
    assert not re.search(r"(?<![\w$])\$[0-9]", redact(statement, "mssql"))


def _text(prefix: str, quote: str = "'") -> Callable[[str], str]:
    return lambda content: prefix + quote + content.replace(quote, quote * 2) + quote


def _with_escapes(prefix: str, quote: str = "'") -> Callable[[str], str]:
    return lambda content: prefix + quote + content.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _until(begin: str, end: str) -> Callable[[str], str]:
    def make(content: str) -> str:
        assume((content + end).find(end) == len(content))
        return begin + content + end

    return make


def _block_in_block(content: str) -> str:
    assume(not any(mark in f"/*{content}*/"[1:-1] for mark in ("/*", "*/")))
    return f"/* a /*{content}*/ {SECRET} */"


def _line_until_return(content: str) -> str:
    assume(not {"\r", "\n"} & set(content))
    return f"--{content}\r"


STANDARD = [_text(""), _text("N"), _until("-- ", "\n"), _until("/* ", "*/"), _text("", '"')]
POSTGRESQL = [_with_escapes("E"), _until("$$", "$$"), _until("$a1$", "$a1$"), _until("$ü_$", "$ü_$"), _block_in_block]
MYSQL = [_until("# ", "\n"), _until("-- ", "\n"), _until("/* ", "*/"), _text("_utf8")]
DIALECTS: dict[str, list[Callable[[str], str]]] = {
    "PostgreSQL": [*STANDARD[:2], STANDARD[4], *POSTGRESQL, _line_until_return],
    "PostgreSQL, standard_conforming_strings off": [_with_escapes(""), _text("", '"'), *POSTGRESQL],
    "MySQL": [_with_escapes(""), _with_escapes("", '"'), *MYSQL[:3]],
    "MySQL, ANSI_QUOTES": [_with_escapes(""), _text("", '"'), *MYSQL[:3]],
    "MySQL, NO_BACKSLASH_ESCAPES": [_text(""), _text("", '"'), *MYSQL],
    "SQLite": [_text(""), _text("x"), _text("", '"'), _until("--", "\n"), _until("/*", "*/")],
    "SQL Server": [*STANDARD, _until("--", "\n"), _block_in_block],
    "Oracle": [*STANDARD, _until("q'[", "]'"), _until("Nq'!", "!'"), _until("Q'{", "}'"), _until("q'((", ")'")],
    "BigQuery": [
        _with_escapes(""),
        _with_escapes("", '"'),
        lambda content: "'''" + content.replace("\\", "\\\\").replace("'", "\\'") + "'''",
        lambda content: '"""' + content.replace("\\", "\\\\").replace('"""', '""\\"').rstrip('"') + '"""',
        _until("#", "\n"),
        _until("--", "\n"),
        _until("/*", "*/"),
    ],
    "Snowflake": [_with_escapes(""), _text("", '"'), _until("$$", "$$"), _until("//", "\n"), _until("--", "\n")],
}
NAMES: dict[str, list[Callable[[str], str]]] = {
    "MySQL": [_text("", "`")],
    "MySQL, ANSI_QUOTES": [_text("", "`")],
    "MySQL, NO_BACKSLASH_ESCAPES": [_text("", "`")],
    "SQLite": [_text("", "`"), lambda content: "[" + content.replace("]", "") + "]"],
    "SQL Server": [lambda content: "[" + content.replace("]", "]]") + "]"],
}


@st.composite
def statements(draw: st.DrawFn) -> str:
    """Write a statement in one dialect, with the secret in its literals and comments and nowhere else, and cut it."""
    dialect = draw(st.sampled_from(sorted(DIALECTS)))
    numbers = [lambda _: "4711", lambda _: "-4711.5", lambda _: "0xA4711", lambda _: ".4711e+4711", lambda _: "1_4711"]
    literal = st.builds(lambda make, content: make(content), st.sampled_from([*DIALECTS[dialect], *numbers]), CONTENT)
    quoted = [st.builds(make, NASTY) for make in NAMES.get(dialect, [])]
    name = st.one_of(st.sampled_from(["select", "t1.c2", "a = ", "( ", ", ", " + ", "x$y"]), *quoted)
    parts = draw(st.lists(st.one_of(literal, name), min_size=1, max_size=8))
    statement = " ".join(parts)
    return statement[: draw(st.integers(1, len(statement)))] if draw(st.booleans()) else statement


@settings(max_examples=300, deadline=None)
@given(statements())
def test_no_secret_survives(statement: str) -> None:
    """However a dialect quotes and comments, nothing of what it takes for a literal or a comment is shown."""
    for shown in (redact(statement), redact(statement, "postgresql")):
        assert SECRET not in shown
        assert "4711" not in shown


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*"'\"-/*$#[`\\!Nqe1. \n", "''", "/*", "*/", "select", "E'", "$1"]), max_size=30))
def test_one_reading_will_do_where_nothing_is_disputed(parts: list[str]) -> None:
    """The short way shows what all readings together show."""
    statement = "".join(parts)
    assume(module._DISPUTED.search(statement) is None)
    seen = {str(list(module._hidden(reading, statement))) for reading in module._READINGS.values()}
    assert len(seen) == 1


def test_names_stay_readable() -> None:
    """What a mapper writes is shown whole but for its values."""
    statement = (
        "SELECT orders.id AS orders_id \nFROM orders \nWHERE orders.state = 'open' AND orders.id = %(id_1)s LIMIT 5"
    )
    shown = "SELECT orders.id AS orders_id FROM orders WHERE orders.state = ? AND orders.id = %(id_1)s LIMIT ?"
    assert redact(statement) == shown


def test_a_long_statement_is_cut_without_showing_half_a_literal() -> None:
    """A literal that the cut falls into is hidden as a whole."""
    statement = "select " + "a, " * 600 + "'" + "secret" * 1000 + "'"

    assert len(redact(statement)) <= MOST
    assert "secret" not in redact(statement)


def test_an_enormous_statement_is_not_kept() -> None:
    """The cache keeps at most what may be shown of a statement: a bulk INSERT of megabytes is gone when it is over."""
    statement = "insert into t values " + "('secret', 1), " * 100_000
    before = sys.getrefcount(statement)
    assert redact(statement).startswith("insert into t values (?, ?), (?, ?)")
    assert sys.getrefcount(statement) == before


@pytest.mark.parametrize(
    "part", ["'", "'\\", "$a", "$", "/*", "/", "q'[", "`", "[", '"', "\\", "1e", "-", "+.", "'''\\", "(", "a"]
)
def test_time_is_linear(part: str) -> None:
    """No statement takes long, whatever is repeated in it a million times, nor does any reading of it, uncut."""
    began = time.process_time()
    redact(part * 1_000_000)
    assert time.process_time() - began < 1
    for reading in module._READINGS.values():
        reading += f"|{module._PLACEHOLDER}"
        assert max(_seconds(reading, part, 20_000), 0.005) < 8 * max(_seconds(reading, part, 5_000), 0.005)


def _seconds(reading: object, part: str, times: int) -> float:
    text, best = part * times, 9.0
    for _ in range(2):
        began = time.process_time()
        list(module._hidden(reading, text))  # type: ignore[arg-type]
        best = min(best, time.process_time() - began)
    return best
