"""Options: one list, from which ``install`` keywords, ``POOLWATCH_*`` variables, flags of ``run`` and the docs come.

A value is parsed and checked here and nowhere else; a bad one is refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from poolwatch.config.values import (
    Secret,
    address,
    certificates,
    function,
    headers,
    moment_or_path,
    names,
    number,
    one_of,
    secret,
    switch,
    target,
    text,
    urls,
    whole,
)
from poolwatch.errors import HIDDEN, ConfigError
from poolwatch.model import GRADES, KINDS

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
    """How one option is read and what it allows; ``unit`` and ``help`` are for people.

    The value of a ``secret`` one is shown nowhere and given to no child; one ``in_code`` is a keyword and nothing else.
    """

    parse: Callable[[object], Any]
    allowed: str
    help: str
    unit: str = ""
    metavar: str = "VALUE"
    secret: bool = False
    in_code: bool = False


def _seconds(default: float, low: float, high: float, help: str) -> Any:
    return _option(default, Rule(number(low, high), f"a number from {low:g} to {high:g}", help, "s", "SECONDS"))


def _count(default: int, low: int, high: int, help: str) -> Any:
    return _option(default, Rule(whole(low, high), f"a whole number from {low} to {high}", help, "", "N"))


def _option(default: Any, rule: Rule) -> Any:
    return field(default=default, metadata={"rule": rule})


def _secret(check: Callable[[str], object], allowed: str, help: str, metavar: str) -> Any:
    file = f"{allowed}, or @ and the path of a readable file that holds them"
    return _option(None, Rule(secret(check), file, help, metavar=metavar, secret=True))


_HOOK_NAMES = ("all", *HOOKS)
_TELEMETRY_NAMES = ("all", "metrics", "spans", "logs", "none")
_KIND_NAMES = ("all", *dict.fromkeys(kind.partition(".")[0] for kind in KINDS), *KINDS)
_TARGET = "the path of a file in a folder that can be written to, or - for standard output"
_URLS = "URLs that begin with http:// or https://, with commas between them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every option with its default. Build it with ``Config.of`` to have values parsed and checked."""

    interval: float = _seconds(0.25, 0.01, 60, "time between two looks of the watcher")
    grace: float = _seconds(1.0, 0, 3600, "time before an ended owner is believed to have leaked")
    overdue_after: float = _seconds(60.0, 0.01, 604800, "idle hold after which a lease is suspected of a leak")
    idle_in_transaction_after: float = _seconds(30.0, 0.01, 604800, "idle time inside an open transaction")
    starved_after: float = _seconds(5.0, 0.01, 86400, "wait for a connection after which a pool counts as exhausted")
    blocked_loop_after: float = _seconds(0.1, 0.001, 3600, "blocking wait for a sync pool on an event loop's thread")
    floor_window: float = _seconds(60.0, 0.05, 86400, "window of time; what lies unused through it is a pool's floor")
    floor_steps: int = _count(5, 2, 100, "windows, each with a higher floor, after which a slow leak is suspected")
    resolve_after: float = _seconds(300.0, 1, 604800, "quiet time after which what happened once is resolved")
    stack_depth: int = _count(16, 1, 128, "frames kept of a stack")
    max_sites: int = _count(1000, 1, 100_000, "sites with totals of their own; the rest is counted as 'other'")
    max_findings: int = _count(1000, 1, 100_000, "findings kept; what is beyond is counted as dropped")
    report: str | None = _option(None, Rule(target, _TARGET, "where the report goes at exit", metavar="PATH"))
    serve: str | None = _option(
        None, Rule(address, "HOST:PORT", "serve /metrics and /report.json there", metavar="HOST:PORT")
    )
    strict: bool = _option(
        False, Rule(switch, "true or false", "raise at the offending call of a crossing", metavar="BOOL")
    )
    inherit_routes: bool = _option(
        False, Rule(switch, "true or false", "threads, work items and greenlets follow connected_to", metavar="BOOL")
    )
    reclaim: tuple[str, ...] = _option(
        (),
        Rule(names(REMEDIES, 0), "a list of " + ", ".join(REMEDIES), "leaks to give back once proved", metavar="NAMES"),
    )
    protect_fork: bool = _option(
        False, Rule(switch, "true or false", "replace inherited connections at checkout", metavar="BOOL")
    )
    hooks: tuple[str, ...] = _option(
        ("all",), Rule(names(_HOOK_NAMES), "a list of " + ", ".join(_HOOK_NAMES), "libraries to hook", metavar="NAMES")
    )
    telemetry: tuple[str, ...] = _option(
        ("all",),
        Rule(
            names(_TELEMETRY_NAMES),
            "a list of " + ", ".join(_TELEMETRY_NAMES),
            "what goes through the program's OpenTelemetry providers",
            metavar="NAMES",
        ),
    )
    alert_webhook: Secret | None = _secret(urls, _URLS, "tell these webhooks of findings", "URLS")
    alert_format: str = _option(
        "auto",
        Rule(
            one_of(("auto", "json", "slack")),
            "auto, json or slack",
            "what webhooks get; auto goes by host",
            metavar="NAME",
        ),
    )
    alert_headers: Secret | None = _secret(
        headers, "lines such as Authorization: Bearer abc", "headers for webhooks", "LINES"
    )
    alert_alertmanager: Secret | None = _secret(urls, _URLS, "tell each of these Alertmanagers", "URLS")
    alert_ca: str | None = _option(
        None, Rule(certificates, "a readable file of certificates (PEM)", "whom to trust over https", metavar="FILE")
    )
    alert_name: str | None = _option(
        None, Rule(text, "text", "what alerts call the program; else its file's name", metavar="NAME")
    )
    alert_grade: str = _option(
        "probable", Rule(one_of(GRADES), "one of " + ", ".join(GRADES), "weakest grade that is sent", metavar="GRADE")
    )
    alert_kinds: tuple[str, ...] = _option(
        ("all",), Rule(names(_KIND_NAMES), "a list of " + ", ".join(_KIND_NAMES), "what is sent", metavar="NAMES")
    )
    alert_repeat: float = _seconds(3600.0, 1, 604800, "time to the first repeat; each further one takes twice as long")
    alert_silence: str | None = _option(
        None,
        Rule(
            moment_or_path,
            "a time such as 2026-01-31T18:00, or a path with a slash in it",
            "send nothing until that time, or while that file exists",
            metavar="TIME|PATH",
        ),
    )
    alert_limit: int = _count(10, 1, 10_000, "alerts a minute for each webhook; what is beyond waits")
    alert: Callable[..., object] | None = _option(
        None, Rule(function, "a function of one dictionary, given in code", "call it with each alert", in_code=True)
    )

    @classmethod
    def of(cls, base: Config | None = None, **options: object) -> Config:
        """Build a Config from keywords over ``base`` (default: the environment).

        Raises ConfigError for an unknown option or a value that is not allowed.
        """
        config = from_environment() if base is None else base
        return replace(config, **{name: parse(name, value) for name, value in options.items()})


_ALL: dict[str, Rule] = {f.name: f.metadata["rule"] for f in fields(Config)}
RULES = {name: rule for name, rule in _ALL.items() if not rule.in_code}
"""What can be said in words: by variable and flag too."""


def parse(name: str, value: object) -> Any:
    """Give the checked value of one option; raises ConfigError."""
    if name not in _ALL:
        raise ConfigError(name, value, "one of: " + ", ".join(_ALL))
    rule = _ALL[name]
    try:
        return rule.parse(value)
    except (ValueError, KeyError, TypeError, OSError) as error:
        if not rule.secret:
            raise ConfigError(name, value, rule.allowed) from error
    # Outside of "except": the error would carry what must not be shown.
    raise ConfigError(name, value if str(value).startswith("@") else HIDDEN, rule.allowed)


def from_environment(environ: Mapping[str, str] | None = None) -> Config:
    """Give the Config that the ``POOLWATCH_*`` variables describe; empty ones count as absent."""
    source = os.environ if environ is None else environ
    found = {name: source.get(ENV_PREFIX + name.upper(), "") for name in RULES}
    return replace(Config(), **{name: parse(name, value) for name, value in found.items() if value})


def to_environment(config: Config) -> dict[str, str]:
    """Give the variables that make a child process read the same Config; defaults and secrets are left out."""
    default = Config()
    open_ = [name for name, rule in RULES.items() if not rule.secret]
    changed = {name: getattr(config, name) for name in open_ if getattr(config, name) != getattr(default, name)}
    return {ENV_PREFIX + name.upper(): _as_text(value) for name, value in changed.items()}


def _as_text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
