"""What may be shown of a statement."""

from __future__ import annotations

import pytest

from poolwatch.redact import MOST, redact


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("select * from users where name = 'O''Brien' and id = 42", "select * from users where name = ? and id = ?"),
        ("select t1.c2 from t1 where x = %(x_1)s and y = $1", "select t1.c2 from t1 where x = %(x_1)s and y = $1"),
        ("insert into t values (\"secret\", 1.5e3, E'a\\'b')", "insert into t values (?, ?, ?)"),
        ("select 1 /* user=bob */ -- token 'x'\n, 2", "select ? , ?"),
        ("do $body$ secret 'a' $body$", "do ?"),
        ("select 'never closed", "select ?"),
    ],
)
def test_literals_and_comments_are_hidden(statement: str, shown: str) -> None:
    """Literals become a question mark and comments go; names and placeholders stay."""
    assert redact(statement) == shown


def test_a_long_statement_is_cut_without_showing_half_a_literal() -> None:
    """A literal that the cut falls into is hidden as a whole."""
    statement = "select " + "a, " * 600 + "'" + "secret" * 1000 + "'"

    assert len(redact(statement)) <= MOST
    assert "secret" not in redact(statement)
