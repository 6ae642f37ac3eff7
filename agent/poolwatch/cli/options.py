"""Flags made from ``config.RULES``: one list of options for keywords, variables and the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from poolwatch import config
from poolwatch.config import Config
from poolwatch.errors import ConfigError, PoolwatchError


def add_arguments(parser: argparse.ArgumentParser, names: Iterable[str] = tuple(config.RULES)) -> None:
    """Declare one flag for each option; an absent flag leaves the option to its variable or default."""
    defaults = Config()
    for name in names:
        rule = config.RULES[name]
        value = getattr(defaults, name)
        known = "" if value in (None, ()) else f" (default: {_shown(value)}{' ' + rule.unit if rule.unit else ''})"
        help = rule.help.replace("%", "%%") + known
        if isinstance(value, bool):
            parser.add_argument(flag(name), nargs="?", const="true", metavar=rule.metavar, help=help)
        else:
            parser.add_argument(flag(name), metavar=rule.metavar, help=help)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def flag(name: str) -> str:
    """Name the flag of an option."""
    return "--" + name.replace("_", "-")


def read(args: argparse.Namespace, names: Iterable[str] = tuple(config.RULES)) -> Config:
    """Give the Config of the environment and the flags; raises PoolwatchError naming flag or variable."""
    try:
        base = config.from_environment()
    except ConfigError as error:
        raise _named(config.ENV_PREFIX + error.option.upper(), error) from error
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    try:
        return Config.of(base, **given)
    except ConfigError as error:
        raise by_flag(error) from error


def by_source(error: ConfigError, args: argparse.Namespace) -> PoolwatchError:
    """Say the same of the flag, where a person typed it, else of the variable."""
    if getattr(args, error.option, None) is not None:
        return by_flag(error)
    return _named(config.ENV_PREFIX + error.option.upper(), error)


def by_flag(error: ConfigError) -> PoolwatchError:
    """Say the same of the flag that a person typed."""
    return _named(flag(error.option), error)


def _named(name: str, error: ConfigError) -> PoolwatchError:
    return PoolwatchError(f"{name}: {error.value!r} is not allowed; use {error.allowed}")


def one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    """Give ``value`` back where it is allowed; raises PoolwatchError."""
    if value not in allowed:
        raise PoolwatchError(f"{name}: {value!r} is not allowed; use one of {', '.join(allowed)}")
    return value
