"""``poolwatch run``: starts a command with the hooks in all its Python processes and reports at its end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from poolwatch import text
from poolwatch.cli import alerts, environment, options, streams
from poolwatch.cli.folders import spool_folder
from poolwatch.cli.gather import Gathering, trips
from poolwatch.cli.launch import Launch, block_signals, end_like, failure
from poolwatch.config import Config
from poolwatch.errors import ConfigError, PoolwatchError
from poolwatch.export.otel import asked
from poolwatch.model import GRADES, Json

HELP = "run a command with poolwatch in all its Python processes, and report at its end"
EPILOG = """\
examples:
  poolwatch run -- python app.py
  poolwatch run --report leaks.json --fail-on probable -- pytest -x
  poolwatch run --serve 127.0.0.1:9187 -- gunicorn app:app -w 4
  poolwatch run --overdue-after 10 -- -m shop.worker

Exit status: the command's own; 3 where --fail-on trips; 127 and 126 where the command cannot be started.
"""

FAIL_ON = (*GRADES, "never")
TRIPPED = 3
_LAST_WORDS = 1.0
"""Seconds that Python children have to say their last word once the command has ended."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``run``, and one for each option."""
    parser.usage = "poolwatch run [options] -- COMMAND..."
    parser.epilog = EPILOG
    parser.add_argument("--format", metavar="FORMAT", help="text or json (default: text; json for a PATH in .json)")
    parser.add_argument(
        "--fail-on",
        default="never",
        metavar="GRADE",
        help="exit with 3 where a finding is proved, or open and at least of this grade: " + ", ".join(FAIL_ON),
    )
    parser.add_argument("--dir", metavar="DIR", help="keep the processes' snapshots there (default: a private folder)")
    options.add_arguments(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, after --")


def run(args: argparse.Namespace) -> int:
    """Run the command; gives its exit status, or 3 where ``--fail-on`` trips."""
    config, form = _checked(args)
    mask = block_signals()
    with spool_folder(args.dir) as directory:
        gathering = Gathering.fresh(directory)
        with (
            alerts.sent_while_running(config, directory, args.command, gathering.running) as read,
            _telemetry(config, gathering),
        ):
            with _served(config, args, read):
                try:
                    words, variables = environment.words(args.command), environment.variables(config, directory)
                    launch = Launch(words, variables, mask)
                except OSError as error:
                    status, reason = failure(error, args.command)
                    _say(reason)
                    return status
                launch.wait()
            gathering.wait(_LAST_WORDS)
        report = gathering.report()
        _note_ending(report, launch)
        _tell(report, gathering, form, config.report)
    return TRIPPED if trips(report, args.fail_on) else end_like(launch.status)


def _note_ending(report: Json, launch: Launch) -> None:
    """Say in the report how the command ended, where it was a process that poolwatch was in."""
    for process in report["processes"]:
        if process["pid"] == launch.pid:
            process["exit"] = launch.ending()
            if process["ended_at"] is None and launch.exited():
                _note_silence(report, launch.pid)


def _note_silence(report: Json, pid: int) -> None:
    """Say that a process ended by itself and never told of it, unless it is known why."""
    unseen: list[str] = report.get("unseen", [])
    if not any(reason.startswith(f"process {pid} ") for reason in unseen):
        report["unseen"] = [*unseen, f"process {pid} said no last word"]


def _checked(args: argparse.Namespace) -> tuple[Config, str]:
    """Give the options and the report's format; raises PoolwatchError for what is not allowed."""
    if not args.command:
        raise PoolwatchError("no command; use: poolwatch run [options] -- COMMAND...")
    options.one_of("--fail-on", args.fail_on, FAIL_ON)
    if args.format:
        options.one_of("--format", args.format, text.FORMATS)
    config = options.read(args)
    return config, args.format or text.form_of(config.report)


def _telemetry(config: Config, gathering: Gathering) -> AbstractContextManager[None]:
    """Send metrics, spans and logs while the command runs, where ``OTEL_*`` asks for it."""
    if not any(map(asked.for_otlp, asked.SIGNALS)):
        return nullcontext()
    from poolwatch.cli import telemetry

    return telemetry.sent_while_running(config, gathering.untold, _say)


@contextmanager
def _served(config: Config, args: argparse.Namespace, read: Callable[[], Json]) -> Iterator[None]:
    """Serve the merged report while the command runs, where ``--serve`` or its variable asks for it."""
    if config.serve is None:
        yield
        return
    from poolwatch.server import serve

    try:
        server = serve(config.serve, read)
    except ConfigError as error:
        raise options.by_source(error, args) from error
    _say(f"serving {server.url}")
    try:
        yield
    finally:
        server.close()


def _tell(report: Json, gathering: Gathering, form: str, target: str | None) -> None:
    """Write the report, and on standard error what somebody must know who does not read it."""
    notes = gathering.notes()
    for note in notes:
        _say(f"process {note['pid']} ({note.get('executable')}) could not be hooked: {note['error']}")
    for name, reason in gathering.skipped.items():
        _say(f"{name} in the spool was skipped: {reason}")
    if not report["processes"] and not notes and not report.get("unseen"):
        _say(_NOBODY)
    try:
        _write(report, form, target)
    except OSError as error:
        if target == "-":
            streams.give_up(sys.stdout)
        _say(f"the report could not be written to {target or 'standard error'}: {error.strerror}")


def _write(report: Json, form: str, target: str | None) -> None:
    if target is not None or report["findings"] or form == "json":
        text.write(report, target, form)
    if (target is not None or not report["findings"]) and (report["processes"] or report.get("unseen")):
        _say(text.summary(report) + (f"; the report is in {target}" if target not in (None, "-") else ""))


_NOBODY = (
    "no process reported: the command started no Python process, or one that reads no PYTHONPATH"
    " (python -I, -E or -S; an emptied environment; a frozen program); `poolwatch doctor` says more"
)


def _say(sentence: str) -> None:
    try:
        print(f"poolwatch: {text.clean(sentence)}", file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody reads it; the exit status still counts
