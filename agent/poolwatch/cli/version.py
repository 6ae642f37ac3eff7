"""The version of this poolwatch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """Give the installed version; ``"source"`` where poolwatch runs from a folder that nobody installed."""
    try:
        return version("poolwatch")
    except PackageNotFoundError:
        return "source"
