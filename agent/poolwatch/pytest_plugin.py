"""pytest: a test that leaks or crosses fails. On by ``--poolwatch``, ``poolwatch = true`` or ``-p poolwatch``.

pytest imports this in every run where poolwatch is installed, so what judges comes in only where somebody asked for it.
"""

from __future__ import annotations

import pytest

_NAMES = {"poolwatch", "poolwatch.pytest_plugin"}
_OLDEST = 8
"""Major version of pytest; an older one does not know the hooks' wrappers."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switches."""
    group = parser.getgroup("poolwatch", "connection leaks")
    group.addoption("--poolwatch", action="store_true", help="fail tests that leak or wrongly share connections")
    group.addoption("--poolwatch-report", action="store_true", help="show the suite's worst holders of connections")
    parser.addini("poolwatch", "fail tests that leak or wrongly share connections", type="bool", default=False)
    parser.addini("poolwatch_grade", "weakest grade of a finding that fails a test", default="probable")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch where somebody asked for it."""
    config.addinivalue_line("markers", "poolwatch_expect(*kinds): the test must cause a finding of each of these kinds")
    config.addinivalue_line("markers", "poolwatch_off: the test is not watched for leaks")
    if not _is_asked_for(config):
        return
    if int(pytest.__version__.partition(".")[0]) < _OLDEST:
        raise pytest.UsageError(f"poolwatch needs pytest {_OLDEST} or newer; this is {pytest.__version__}")
    from poolwatch.testing import judge

    judge.begin(config)


def _is_asked_for(config: pytest.Config) -> bool:
    option = config.option
    named = _NAMES & set(option.plugins or ())
    return bool(option.poolwatch or option.poolwatch_report or named or config.getini("poolwatch"))
