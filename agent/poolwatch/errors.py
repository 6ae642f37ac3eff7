"""Every error poolwatch raises on purpose. None of them leaves a hook unless strict mode asks for it."""

from __future__ import annotations


class PoolwatchError(Exception):
    """Base of all errors raised by poolwatch."""


HIDDEN = "(hidden)"
"""Stands where a value must not be shown."""


class ConfigError(PoolwatchError, ValueError):
    """An option has a value that is not allowed; the text names option, value and what is allowed."""

    def __init__(self, option: str, value: object, allowed: str) -> None:
        self.option = option
        self.value = value
        self.allowed = allowed
        super().__init__(f"option {option!r}: {value!r} is not allowed; use {allowed}")


class ReportError(PoolwatchError):
    """A report or spool file cannot be read as a poolwatch report."""


class CrossingError(PoolwatchError):
    """Strict mode: a connection was about to be used by somebody who must not use it."""


class LeakError(PoolwatchError):
    """Strict mode, or ``expect_no_leaks``: connections were not given back."""
