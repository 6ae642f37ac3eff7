"""poolwatch finds leaked and wrongly shared database connections inside a running Python program.

>>> import poolwatch
>>> watch = poolwatch.install(overdue_after=30)  # doctest: +SKIP
"""

from poolwatch.config import Config
from poolwatch.errors import ConfigError, CrossingError, LeakError, PoolwatchError
from poolwatch.model import Finding, Snapshot
from poolwatch.senses.flow import scope
from poolwatch.watch import Watch, install, installed

__version__ = "0.1.0"
__all__ = [
    "Config",
    "ConfigError",
    "CrossingError",
    "Finding",
    "LeakError",
    "PoolwatchError",
    "Snapshot",
    "Watch",
    "install",
    "installed",
    "scope",
]
