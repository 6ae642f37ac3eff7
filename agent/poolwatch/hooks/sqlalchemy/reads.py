"""Which statements are proved to read only: a Select that has no text, unknown function, lock or change in it.

It is looked into once for each text that SQLAlchemy compiles and keeps; all later ones ask what is noted there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import CompoundSelect, ForUpdateArg, Select
from sqlalchemy.sql.visitors import iterate

SELECTS = (Select, CompoundSelect)
_UNSURE = (TextClause, UpdateBase, ForUpdateArg)
_STANDARD = {
    "abs", "array_agg", "avg", "ceil", "char_length", "coalesce", "concat", "count", "cume_dist", "current_date",
    "current_time", "current_timestamp", "current_user", "date", "date_part", "date_trunc", "dense_rank", "extract",
    "first_value", "floor", "greatest", "ifnull", "json_agg", "lag", "last_value", "lead", "least", "length",
    "localtime", "localtimestamp", "lower", "ltrim", "max", "min", "mod", "now", "ntile", "nullif", "percent_rank",
    "random", "rank", "replace", "round", "row_number", "rtrim", "string_agg", "substr", "substring", "sum",
    "to_char", "trim", "upper",
}  # fmt: skip
"""Functions that every database has and that change nothing. Others may: ``set_config``, locks, one's own."""


def only_reads(result: Any) -> bool:
    """Tell whether the statement that gave ``result`` is known to change nothing."""
    try:
        compiled = getattr(result, "raw", result).context.compiled  # that of an ORM statement wraps the cursor's
    except AttributeError:
        return False
    try:
        return bool(compiled._poolwatch_reads)
    except AttributeError:
        return compiled is not None and _look_into(compiled)


def _look_into(compiled: Any) -> bool:
    statement = getattr(compiled.compile_state, "statement", None)
    compiled._poolwatch_reads = reads = isinstance(statement, SELECTS) and not any(map(_may_change, iterate(statement)))
    return reads


def _may_change(element: Any) -> bool:
    if isinstance(element, FunctionElement):
        return bool(element.packagenames) or str(getattr(element, "name", "")).lower() not in _STANDARD
    if isinstance(element, SELECTS):
        return bool(getattr(element, "_prefixes", ()) or getattr(element, "_suffixes", ()))
    if getattr(element, "is_literal", False) is True:
        return bool(element.name != "*")
    return isinstance(element, _UNSURE) or not type(element).__module__.startswith("sqlalchemy.")
