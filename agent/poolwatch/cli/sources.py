"""Where a live report comes from: a served address, a spool folder, or whatever runs on this machine now."""

from __future__ import annotations

import glob
import os
import stat
import tempfile
from collections.abc import Callable
from http import HTTPStatus

from poolwatch.cli import tokens
from poolwatch.collecting.living import alive
from poolwatch.errors import PoolwatchError, ReportError
from poolwatch.model import Json
from poolwatch.report import merge, spool

PREFIX = "poolwatch-"
"""Private folders of running commands begin so, below the folder for temporary files."""
_PATIENCE = 5.0
"""Seconds to wait for a served report."""


def source(url: str | None, directory: str | None, token: str | None = None) -> Callable[[], Json]:
    """Give the function that reads the report; raises PoolwatchError for a source that cannot be one.

    The ``token`` is for a URL that asks for one.
    """
    if url and directory:
        raise PoolwatchError("a URL and --dir exclude each other; use one of them")
    if url:
        return lambda: fetched(url, token)
    if token:
        raise PoolwatchError(f"{tokens.FLAG}: only a URL asks for a token; name it, as http://HOST:PORT")
    named = "--dir" if directory else spool.DIRECTORY_VARIABLE
    directory = directory or os.environ.get(spool.DIRECTORY_VARIABLE)
    if directory and not os.path.isdir(directory):
        raise PoolwatchError(f"{named}: {directory!r} is no folder; use the one that `poolwatch run --dir` was given")
    return lambda: living([directory] if directory else private_folders())


def temporary() -> str:
    """Give the folder for temporary files; raises PoolwatchError where there is none, as in a read-only container."""
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise PoolwatchError(
            f"no folder for temporary files can be written; set {spool.DIRECTORY_VARIABLE} or TMPDIR to one that can"
        ) from error


def private_folders() -> list[str]:
    """Give the spool folders of this user's running commands; what others have put there is not trusted."""
    ours = [folder for folder in glob.glob(os.path.join(temporary(), PREFIX + "*")) if is_ours(folder)]
    return [*ours, *(inner for folder in ours for inner in glob.glob(os.path.join(folder, "*", "")))]  # root's have one


def is_ours(folder: str) -> bool:
    """Tell whether a folder belongs to this user and nobody else may list it or write in it; a link does not."""
    try:
        facts = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o066


def living(folders: list[str]) -> Json:
    """Merge the reports of the processes that still run."""
    reports = [report for folder in folders for report in spool.read_all(folder)]
    return merge.merge(report for report in reports if all(alive(process) for process in report["processes"]))


def fetched(url: str, token: str | None = None) -> Json:
    """Get the report from an address that ``--serve`` has opened; raises PoolwatchError."""
    from urllib.error import URLError
    from urllib.request import ProxyHandler, Request, build_opener

    if not url.startswith(("http://", "https://")):
        raise PoolwatchError(f"{url!r} is no address; use http://HOST:PORT")
    address = url if url.endswith(".json") else url.rstrip("/") + "/report.json"
    try:
        request = Request(address)
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")  # for nobody whom it is sent on to
        with build_opener(ProxyHandler({})).open(request, timeout=_PATIENCE) as answer:
            return spool.checked(spool.parsed(answer.read(spool.MAX_BYTES)))
    except (URLError, OSError, ReportError, ValueError) as error:
        raise PoolwatchError(f"no report from {address}: {_reason(error, token)}") from error


def _reason(error: Exception, token: str | None) -> str:
    if getattr(error, "code", None) == HTTPStatus.UNAUTHORIZED:
        return "the token is not its own" if token else f"it asks for a token; use {tokens.FLAG} FILE"
    return str(getattr(error, "reason", error))
