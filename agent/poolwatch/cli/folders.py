"""The folder that processes report to: one that somebody names and that stays, or a private one that goes."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from poolwatch.cli.sources import PREFIX, temporary
from poolwatch.errors import PoolwatchError
from poolwatch.report.spool import DIRECTORY_VARIABLE

_A_LITTLE = 4096
"""Bytes that a folder must have room for."""


@contextmanager
def spool_folder(given: str | None) -> Iterator[str]:
    """Give the folder of a command; a private one is removed at the end. Raises PoolwatchError."""
    named = given or os.environ.get(DIRECTORY_VARIABLE)
    if named:
        yield made("--dir" if given else DIRECTORY_VARIABLE, named, try_it=True)
        return
    directory = tempfile.mkdtemp(prefix=PREFIX, dir=temporary())
    try:
        yield _for_many_users(directory) if os.geteuid() == 0 else directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def made(source: str, directory: str, *, try_it: bool = False) -> str:
    """Make a folder where it is not there, and give its path; raises PoolwatchError that names its ``source``."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        os.listdir(directory)
        if try_it:
            _write_a_little(directory)
    except OSError as error:
        reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
        raise PoolwatchError(f"{source}: {directory!r} cannot be used: {reason}") from error
    return os.path.realpath(directory)


def _write_a_little(directory: str) -> None:
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(_A_LITTLE))


def _for_many_users(directory: str) -> str:
    """Make a folder inside for processes that give up root: all may write there, and nobody else knows its name.

    The name is told in the command's environment only, and neither folder can be listed by another user.
    """
    inner = os.path.join(directory, secrets.token_hex(16))
    os.mkdir(inner)
    os.chmod(inner, 0o1733)
    os.chmod(directory, 0o711)
    return inner
