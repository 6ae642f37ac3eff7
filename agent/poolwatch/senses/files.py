"""Whose a file is: the application's, a library's, a pool library's or driver's, or of what only runs others."""

from __future__ import annotations

import asyncio
import os
import sysconfig
from functools import lru_cache
from types import FrameType

from poolwatch.libraries import POOL_LIBRARIES
from poolwatch.senses.installed import is_own, package_of

OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_DEMO_FOLDER = os.path.join(OUR_FOLDER, "demo", "")
_INSIDE = POOL_LIBRARIES | {"asyncio", "contextlib.py"}
RUN_TASKS = {asyncio.Handle._run.__code__.co_filename, asyncio.run.__code__.co_filename}
"""What is farther out than these is no task's, but of whoever runs the loop."""
_SCRIPTS = os.path.join(sysconfig.get_path("scripts"), "")
_RUNNERS = {
    "asyncio", "concurrent", "gevent", "multiprocessing", "selectors.py", "socketserver.py", "threading.py", "trio",
    "twisted",
}  # fmt: skip
"""Beyond the frames of threads, executors, loops and servers stands who started them, not who wants a connection."""
_hooked_folders: list[str] = []
takers: set[str] = set()
"""Installed packages that take connections on nobody's behalf: what is theirs may keep them, as an application's."""


class _Inside(dict[str, bool]):
    """File name to whether its frames lie inside the pool library, the driver or poolwatch; learnt once a file."""

    def __missing__(self, file: str) -> bool:
        inside = self[file] = _is_pool_library(file)
        return inside


inside = _Inside()


def treat_as_inside(folder: str) -> None:
    """Count every file below ``folder`` as pool library, wherever it is installed."""
    _hooked_folders.append(os.path.join(folder, ""))
    inside.clear()
    is_application.cache_clear()


def is_of_pool_library(file: str) -> bool:
    """Tell whether a file belongs to a pool library or a driver itself."""
    return package_of(file) in POOL_LIBRARIES


def _is_pool_library(file: str) -> bool:
    if file.startswith((OUR_FOLDER, "<frozen", "<sqlalchemy", "<attrs ")):
        return not file.startswith(_DEMO_FOLDER)
    if file.startswith(tuple(_hooked_folders)):
        return True
    return package_of(file) in _INSIDE and file not in RUN_TASKS


@lru_cache(maxsize=10_000)
def is_library(file: str) -> bool:
    """Tell whether a file belongs to the standard library or an installed package, not to the application."""
    if file.startswith(OUR_FOLDER):
        return not file.startswith(_DEMO_FOLDER)
    if file.startswith("<"):
        return file not in {"<string>", "<stdin>"}
    return package_of(file) != "" and not is_own(file)


def is_runner(file: str) -> bool:
    """Tell whether a file is of what runs work for others: threads, executors, loops, servers."""
    return package_of(file) in _RUNNERS


@lru_cache(maxsize=10_000)
def is_application(file: str) -> bool:
    """Tell whether a file is the application's, whoever started it."""
    # a console script only starts what is installed
    return not (inside[file] or is_library(file) or file.startswith(_SCRIPTS))


def generated(frame: FrameType) -> bool:
    """Tell whether code named "<string>" was made by a library (SQLAlchemy 2.0, dataclasses), not ``python -c``'s."""
    if frame.f_code.co_filename != "<string>":
        return False
    names = frame.f_globals
    return names.get("__name__") != "__main__" or "__file__" in names
