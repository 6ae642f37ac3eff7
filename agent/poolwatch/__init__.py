"""poolwatch finds leaked and wrongly shared database connections inside a running Python program.

>>> import poolwatch
>>> watch = poolwatch.install(overdue_after=30)  # doctest: +SKIP

PYTEST_DONT_REWRITE (under ``poolwatch run -- pytest`` it is there before pytest, which would warn of that)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poolwatch.collecting.collector import SpoolCollector
    from poolwatch.config import Config
    from poolwatch.errors import ConfigError, CrossingError, LeakError, PoolwatchError
    from poolwatch.fibers import fiber
    from poolwatch.model import Finding, Snapshot
    from poolwatch.senses.flow import scope
    from poolwatch.senses.route import connected_to, inherit, route
    from poolwatch.tags import strict, tag
    from poolwatch.testing.expect import expect_no_leaks
    from poolwatch.watch import Watch, findings, install, installed, snapshot, uninstall

__version__ = "0.1.0"
pytest_plugins = ("poolwatch.pytest_plugin",)
"""What ``pytest -p poolwatch`` loads, also where pytest loads no plugins by itself."""
__all__ = [
    "Config",
    "ConfigError",
    "CrossingError",
    "Finding",
    "LeakError",
    "PoolwatchError",
    "Snapshot",
    "SpoolCollector",
    "Watch",
    "connected_to",
    "expect_no_leaks",
    "fiber",
    "findings",
    "inherit",
    "install",
    "installed",
    "route",
    "scope",
    "snapshot",
    "strict",
    "tag",
    "uninstall",
]
_HOMES = {
    "collecting.collector": ("SpoolCollector",),
    "config": ("Config",),
    "errors": ("ConfigError", "CrossingError", "LeakError", "PoolwatchError"),
    "fibers": ("fiber",),
    "model": ("Finding", "Snapshot"),
    "senses.flow": ("scope",),
    "senses.route": ("connected_to", "inherit", "route"),
    "tags": ("strict", "tag"),
    "testing.expect": ("expect_no_leaks",),
    "watch": ("Watch", "findings", "install", "installed", "snapshot", "uninstall"),
}


def __getattr__(name: str) -> Any:
    """Import what somebody asks for: the launcher, and a watched program that asks for nothing, start sooner."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
