"""``poolwatch agent``: one place on a host that knows all its processes, for Prometheus and for people."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from poolwatch import text
from poolwatch.cli import alerts, folders, options, servers, tokens
from poolwatch.cli.sources import PREFIX, is_ours, temporary
from poolwatch.errors import ConfigError, PoolwatchError
from poolwatch.report.spool import DIRECTORY_VARIABLE

if TYPE_CHECKING:
    import ssl

HELP = "serve the metrics and the report of all processes that report to a folder"
EPILOG = """\
examples:
  poolwatch agent                                     the folder of POOLWATCH_DIR, at 127.0.0.1:9187
  POOLWATCH_DIR=/run/shop poolwatch run -- gunicorn app:app -w 8 &
  poolwatch agent --dir /run/shop
  poolwatch agent --serve 0.0.0.0:9187 --token-file token --cert agent.pem --key agent.key
  poolwatch agent --server @/etc/shop/dsn             compare the pools with what their server allows

It ends on SIGTERM, SIGINT or SIGHUP with status 0; what the ended processes have counted stays in the folder.
"""

_ENDS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_INTERVALS = (0.1, 60.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``agent``."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--serve", default="127.0.0.1:9187", metavar="HOST:PORT", help="where to answer (default: 127.0.0.1:9187)"
    )
    parser.add_argument(
        "--dir",
        metavar="DIR",
        help=f"the folder the processes report to (default: {DIRECTORY_VARIABLE}, $XDG_RUNTIME_DIR/poolwatch,"
        " or a private folder for temporary files)",
    )
    parser.add_argument(
        tokens.FLAG, metavar="FILE", help="answer only requests with this Bearer token; opens other hosts"
    )
    parser.add_argument("--cert", metavar="FILE", help="certificate (PEM) for TLS")
    parser.add_argument("--key", metavar="FILE", help="its key, where that is in another file")
    parser.add_argument(
        "--server",
        action="append",
        metavar="DSN",
        help="a PostgreSQL, MySQL or MariaDB server to compare the pools with; @FILE reads DSNs from a file, one a"
        f" line; may be given several times (default: {servers.VARIABLE}, one a line)",
    )
    parser.add_argument(
        "--interval",
        default="2",
        metavar="SECONDS",
        help="time between two looks at who lives, and at the servers (default: 2)",
    )
    options.add_arguments(parser, alerts.NAMES)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it; gives 0."""
    from poolwatch.collecting.keeper import Keeper
    from poolwatch.server import serve

    interval = _interval(args.interval)
    token, tls = tokens.read(args.token_file), _tls(args.cert, args.key)
    directory = _folder(args.dir)
    watched = servers.given(args.server, interval)
    keeper = Keeper(directory, watched)
    told = alerts.of_folder(options.read(args, alerts.NAMES), directory, keeper)
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)  # before any thread starts: threads inherit it
    try:
        server = serve(args.serve, told.report, token=token, tls=tls)
    except ConfigError as error:
        raise _by_flag(error, token) from error
    with closing(told), server, servers.asked(watched):
        _say(f"serving {server.url} from {directory}")
        trouble, teller = "", servers.Teller(watched, _say)
        while signal.sigtimedwait(_ENDS, interval) is None:
            trouble = _tended(told.tend, trouble)
            teller.tell()
    return 0


def _tended(tend: Callable[[], None], trouble: str) -> str:
    """Look who has ended; says what went wrong where that is news, and goes on."""
    try:
        tend()
    except Exception as error:
        now = f"{type(error).__name__}: {error}"
        if now != trouble:
            _say(f"the folder could not be read: {now}")
        return now
    return ""


def _interval(given: str) -> float:
    try:
        seconds = float(given)
        if _INTERVALS[0] <= seconds <= _INTERVALS[1]:
            return seconds
    except ValueError:
        pass
    raise PoolwatchError(
        f"--interval: {given!r} is not allowed; use a number from {_INTERVALS[0]:g} to {_INTERVALS[1]:g}"
    )


def _tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    import ssl

    if cert is None:
        if key is not None:
            raise PoolwatchError("--key needs --cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise PoolwatchError(f"--cert, --key: {cert!r} cannot be used: {error}") from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")


def _folder(given: str | None) -> str:
    """Give the folder, made where it is not there; the default one must be ours alone. Raises PoolwatchError."""
    named = given or os.environ.get(DIRECTORY_VARIABLE)
    directory = folders.made("--dir" if given or not named else DIRECTORY_VARIABLE, named or _own_folder())
    if not named and not is_ours(directory):
        raise PoolwatchError(f"{directory!r} is not yours alone; use --dir with a folder that is")
    return directory


def _own_folder() -> str:
    """Name the folder for who has not named one; raises PoolwatchError."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return f"{runtime}/poolwatch" if runtime else f"{temporary()}/{PREFIX}agent-{os.getuid()}"


def _by_flag(error: ConfigError, token: str | None) -> PoolwatchError:
    hint = "" if token else "; another host needs --token-file"
    return PoolwatchError(f"{options.by_flag(error)}{hint}")


def _say(sentence: str) -> None:
    try:
        print(f"poolwatch agent: {text.clean(sentence)}", file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody reads it
