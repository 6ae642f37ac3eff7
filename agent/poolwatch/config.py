"""Options: one list, from which ``install`` keywords, ``POOLWATCH_*`` variables, flags of ``run`` and the docs come.

A value is parsed and checked here and nowhere else; a bad one is refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from poolwatch.errors import ConfigError

HOOKS = (
    "sqlalchemy", "psycopg_pool", "asyncpg", "gql", "starlette", "uvicorn", "flask", "gunicorn", "celery", "executors",
    "threads", "gevent", "opentelemetry",
)  # fmt: skip
"""Names the ``hooks`` option accepts, beside ``all``."""

REMEDIES = ("collected", "owner_ended")
"""Names the ``reclaim`` option accepts: leaks after which the slot can be given back."""

ENV_PREFIX = "POOLWATCH_"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one option is read and what it allows; ``unit`` and ``help`` are for people."""

    parse: Callable[[object], Any]
    allowed: str
    help: str
    unit: str = ""
    metavar: str = "VALUE"


def _number(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(value)
        number = float(value)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return parse


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if isinstance(value, (bool, float)) or not isinstance(value, (int, str)):
            raise ValueError(value)
        number = int(value)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return parse


def _switch(value: object) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words[str(value).strip().lower()]


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise ValueError(value)
    return os.fspath(value) if value else None


def _address(value: object) -> str | None:
    if not value:
        return None
    host, _, port = str(value).rpartition(":")
    if not host or not 0 <= int(port) <= 65535:
        raise ValueError(value)
    return str(value)


def _names(known: Iterable[str]) -> Callable[[object], tuple[str, ...]]:
    allowed = set(known)

    def parse(value: object) -> tuple[str, ...]:
        items = value.split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]
        names = tuple(item.strip() for item in items if item.strip())
        if not set(names) <= allowed:
            raise ValueError(value)
        return names

    return parse


def _seconds(default: float, low: float, high: float, text: str) -> Any:
    return _option(default, Rule(_number(low, high), f"a number from {low:g} to {high:g}", text, "s", "SECONDS"))


def _count(default: int, low: int, high: int, text: str) -> Any:
    return _option(default, Rule(_whole(low, high), f"a whole number from {low} to {high}", text, "", "N"))


def _option(default: Any, rule: Rule) -> Any:
    return field(default=default, metadata={"rule": rule})


_HOOK_NAMES = ("all", *HOOKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every option with its default. Build it with ``Config.of`` to have values parsed and checked."""

    interval: float = _seconds(0.25, 0.01, 60, "time between two looks of the watcher")
    grace: float = _seconds(1.0, 0, 3600, "time before an ended owner is believed to have leaked")
    overdue_after: float = _seconds(60.0, 0.01, 604800, "idle hold after which a lease is suspected of a leak")
    idle_in_transaction_after: float = _seconds(30.0, 0.01, 604800, "idle time inside an open transaction")
    starved_after: float = _seconds(5.0, 0.01, 86400, "wait for a connection after which a pool counts as exhausted")
    blocked_loop_after: float = _seconds(0.1, 0.001, 3600, "blocking wait for a sync pool on an event loop's thread")
    resolve_after: float = _seconds(300.0, 1, 604800, "quiet time after which what happened once is resolved")
    stack_depth: int = _count(16, 1, 128, "frames kept of a stack")
    max_sites: int = _count(1000, 1, 100_000, "sites with totals of their own; the rest is counted as 'other'")
    max_findings: int = _count(1000, 1, 100_000, "findings kept; what is beyond is counted as dropped")
    report: str | None = _option(
        None, Rule(_text, "a path, or - for standard output", "where the report goes at exit", metavar="PATH")
    )
    serve: str | None = _option(
        None, Rule(_address, "HOST:PORT", "serve /metrics and /report.json there", metavar="HOST:PORT")
    )
    strict: bool = _option(
        False, Rule(_switch, "true or false", "raise at the offending call of a crossing", metavar="BOOL")
    )
    inherit_routes: bool = _option(
        False, Rule(_switch, "true or false", "threads, work items and greenlets follow connected_to", metavar="BOOL")
    )
    reclaim: tuple[str, ...] = _option(
        (),
        Rule(_names(REMEDIES), "a list of " + ", ".join(REMEDIES), "leaks to give back once proved", metavar="NAMES"),
    )
    protect_fork: bool = _option(
        False, Rule(_switch, "true or false", "replace inherited connections at checkout", metavar="BOOL")
    )
    hooks: tuple[str, ...] = _option(
        ("all",), Rule(_names(_HOOK_NAMES), "a list of " + ", ".join(_HOOK_NAMES), "libraries to hook", metavar="NAMES")
    )

    @classmethod
    def of(cls, base: Config | None = None, **options: object) -> Config:
        """Build a Config from keywords over ``base`` (default: the environment).

        Raises ConfigError for an unknown option or a value that is not allowed.
        """
        config = from_environment() if base is None else base
        return replace(config, **{name: parse(name, value) for name, value in options.items()})


RULES: dict[str, Rule] = {f.name: f.metadata["rule"] for f in fields(Config)}


def parse(name: str, value: object) -> Any:
    """Give the checked value of one option; raises ConfigError."""
    if name not in RULES:
        raise ConfigError(name, value, "one of: " + ", ".join(RULES))
    try:
        return RULES[name].parse(value)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(name, value, RULES[name].allowed) from error


def from_environment(environ: Mapping[str, str] | None = None) -> Config:
    """Give the Config that the ``POOLWATCH_*`` variables describe; empty ones count as absent."""
    source = os.environ if environ is None else environ
    found = {name: source.get(ENV_PREFIX + name.upper(), "") for name in RULES}
    return replace(Config(), **{name: parse(name, value) for name, value in found.items() if value})


def to_environment(config: Config) -> dict[str, str]:
    """Give the variables that make a child process read the same Config; defaults are left out."""
    default = Config()
    changed = {name: getattr(config, name) for name in RULES if getattr(config, name) != getattr(default, name)}
    return {ENV_PREFIX + name.upper(): _as_text(value) for name, value in changed.items()}


def _as_text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
