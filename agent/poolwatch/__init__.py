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
    from poolwatch.expect import expect_no_leaks
    from poolwatch.fibers import fiber
    from poolwatch.model import Finding, Snapshot
    from poolwatch.senses.flow import scope
    from poolwatch.senses.route import connected_to, inherit, route
    from poolwatch.tags import strict, tag
    from poolwatch.watch import Watch, install, installed

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
    "inherit",
    "install",
    "installed",
    "route",
    "scope",
    "strict",
    "tag",
]
_HOMES = {
    "collecting.collector": ("SpoolCollector",),
    "config": ("Config",),
    "errors": ("ConfigError", "CrossingError", "LeakError", "PoolwatchError"),
    "expect": ("expect_no_leaks",),
    "fibers": ("fiber",),
    "model": ("Finding", "Snapshot"),
    "senses.flow": ("scope",),
    "senses.route": ("connected_to", "inherit", "route"),
    "tags": ("strict", "tag"),
    "watch": ("Watch", "install", "installed"),
}


def __getattr__(name: str) -> Any:
    """Import what somebody asks for: the launcher, and a watched program that asks for nothing, start sooner."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
