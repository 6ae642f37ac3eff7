"""Puts a report where it was asked for: standard output, standard error or a file."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from poolwatch.host.speech import Log
from poolwatch.model import Json
from poolwatch.text.render import colour_on, render

FORMATS = ("text", "json")
_log = Log("poolwatch")


def write(report: Json, target: str | None, form: str | None = None) -> None:
    """Put the report on standard output (``-``), on standard error (None), or into a file of mode 0600.

    Without ``form`` a name that ends in ``.json`` gets JSON, everything else text. Raises OSError.
    """
    form = form or form_of(target)
    if target is None or target == "-":
        _show(report, form, sys.stdout if target else sys.stderr)
    else:
        _replace(Path(target), _rendered(report, form, colour=False))


def wrote(report: Json, target: str) -> bool:
    """Do what ``write`` does and tell whether it went well; what did not is logged."""
    try:
        write(report, target)
    except Exception as error:  # of a stream that the host has closed too
        reason = getattr(error, "strerror", None) or type(error).__name__
        _log.warning("the report could not be written to %s: %s", target, reason)
        return False
    return True


def form_of(target: str | None) -> str:
    """Give the format that the name of a file asks for."""
    return "json" if (target or "").endswith(".json") else "text"


def _rendered(report: Json, form: str, *, colour: bool) -> str:
    return json.dumps(report, indent=2) + "\n" if form == "json" else render(report, colour=colour)


def _show(report: Json, form: str, stream: TextIO) -> None:
    content = _rendered(report, form, colour=colour_on(stream))
    encoding = stream.encoding or "utf-8"
    stream.write(content.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _replace(path: Path, content: str) -> None:
    data = content.encode("utf-8", "backslashreplace")
    if path.exists() and not path.is_file():  # a device or a pipe is written to, not replaced
        path.write_bytes(data)
        return
    path = path.resolve()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
