"""Hooks a Python process at its start: ``poolwatch run`` puts this folder first on PYTHONPATH.

Any interpreter may meet this file, also an old one and one of another environment, so it uses nothing that is new,
adds nothing to ``sys.path``, prints nothing, and lets nothing but the host's own errors out.
"""
# No "from __future__ import annotations": an interpreter before 3.7 refuses it with noise in the host's output.

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _hide() -> None:
    """Take this folder out of ``sys.path``: the host sees the path it would have had."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]


def _run_next() -> None:
    """Import the ``sitecustomize`` that this one hides, in its place."""
    from importlib.machinery import PathFinder

    if PathFinder.find_spec("sitecustomize", sys.path) is None:
        return
    ours = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    finally:
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


def _hook() -> None:
    """Install poolwatch where the launcher asks for it; a failure becomes a note in the spool."""
    if os.environ.get("POOLWATCH_RUN") != "1" or not os.path.exists(os.environ.get("POOLWATCH_DIR", "")):
        return  # not asked for, or by a launcher that has ended: nobody would read it
    try:
        if sys.version_info < (3, 10):  # noqa: UP036 - whoever starts the command chooses the interpreter
            raise RuntimeError("poolwatch needs Python 3.10 or later")
        _load()
        from poolwatch.watch import install

        install().stays = True
    except Exception as error:
        _note(error)


def _load() -> None:
    """Load the launcher's own poolwatch, without opening its site-packages to the host."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("poolwatch", [os.path.dirname(os.path.dirname(_HERE))])
    if spec is None or spec.loader is None or "poolwatch" in sys.modules:
        return
    module = sys.modules["poolwatch"] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules["poolwatch"]
        raise


def _note(error: Exception) -> None:
    """Leave a note for the launcher about a process that could not be hooked."""
    import json
    import time

    note = {
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "argv": list(getattr(sys, "orig_argv", [])),
        "error": f"{type(error).__name__}: {error}",
    }
    name = f"{os.getpid()}-{int(time.time() * 1_000_000)}.note"
    path = os.path.join(os.environ["POOLWATCH_DIR"], name)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(note, file)
    except Exception:
        pass


_hide()
try:
    _run_next()
finally:
    _hook()
