"""What is installed: the package that a file belongs to, and whether that is the application's own."""

from __future__ import annotations

import json
import os
import sysconfig
from functools import lru_cache

from poolwatch.libraries import POOL_LIBRARIES

_STDLIB = tuple({os.path.join(os.path.realpath(sysconfig.get_path(name)), "") for name in ("stdlib", "platstdlib")})
_FOLDERS = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


@lru_cache(maxsize=10_000)
def package_of(file: str) -> str:
    """Give the top package, or the module, of a file of the standard library or of what is installed; else ""."""
    for folder in _FOLDERS:
        _, found, inner = file.rpartition(folder)
        if found:
            return inner.partition(os.sep)[0]
    try:
        real = file if file.startswith(_STDLIB) else os.path.realpath(file)
    except OSError:  # a relative name, and the current folder has been removed
        return ""
    folder = next((folder for folder in _STDLIB if real.startswith(folder)), "")
    return real[len(folder) :].partition(os.sep)[0] if folder else ""


@lru_cache(maxsize=10_000)
def is_own(file: str) -> bool:
    """Tell whether an installed file is the application's own: of a package installed from a folder, not from an index.

    ``pip install .``, as containers do, leaves a note of that (PEP 610).
    """
    for folder in _FOLDERS:
        place, found, inner = file.rpartition(folder)
        if found:
            return inner.partition(os.sep)[0] in _own_packages(place + folder)
    return False


@lru_cache(maxsize=100)
def _own_packages(folder: str) -> frozenset[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return frozenset()
    notes = [os.path.join(folder, name) for name in names if name.endswith(".dist-info")]
    return frozenset(package for note in notes for package in _brought(note)) - POOL_LIBRARIES


def _brought(note: str) -> set[str]:
    """Give the packages of a distribution that was installed from a folder; none where its notes are broken."""
    try:
        if "dir_info" not in json.loads(_text(note, "direct_url.json")):
            return set()
        if _text(note, "INSTALLER").strip() == "conda":  # which builds all it has in folders
            return set()
        tops = {line.partition(",")[0].partition("/")[0] for line in _text(note, "RECORD").splitlines()}
    except (OSError, ValueError, TypeError):
        return set()
    return {top for top in tops if not top.endswith(".dist-info")} - {"..", "__pycache__", ""}


def _text(note: str, name: str) -> str:
    with open(os.path.join(note, name), encoding="utf-8") as file:
        return file.read()
