"""For those who serve ``/metrics`` themselves: all processes of a spool folder in prometheus_client's registries."""

from __future__ import annotations

import os

from poolwatch.collecting.keeper import Keeper
from poolwatch.errors import ConfigError
from poolwatch.export.prometheus import Collector
from poolwatch.report.spool import DIRECTORY_VARIABLE


class SpoolCollector(Collector):
    """Gives the sums over all processes that report to ``directory`` (default: ``POOLWATCH_DIR``).

    Every process may have one, beside prometheus_client's multiprocess mode; all give the same numbers.

    >>> registry.register(poolwatch.SpoolCollector())  # doctest: +SKIP
    """

    def __init__(self, directory: str | None = None) -> None:
        directory = directory or os.environ.get(DIRECTORY_VARIABLE)
        if not directory:
            raise ConfigError("directory", directory, f"a folder, here or in {DIRECTORY_VARIABLE}")
        super().__init__(Keeper(directory).report)
