"""``poolwatch top``: a live table of the pools that run under ``poolwatch run`` now."""

from __future__ import annotations

import argparse
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from poolwatch.cli import tokens
from poolwatch.cli.sources import source
from poolwatch.model import Json
from poolwatch.text import colour_on, overview

HELP = "show a live table of the pools that are watched now"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``top``."""
    parser.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="address of a served report, as http://127.0.0.1:9187 (default: every command of yours that runs now)",
    )
    parser.add_argument("--dir", metavar="DIR", help="the folder that `poolwatch run --dir` was given")
    parser.add_argument(
        tokens.FLAG, metavar="FILE", help="the Bearer token of an agent that asks for one, as its own --token-file"
    )


def run(args: argparse.Namespace) -> int:
    """Show the table until q or Ctrl-C; print it once where standard output is no terminal."""
    read = source(args.url, args.dir, tokens.read(args.token_file))
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        print(overview(read()), end="")
        return 0
    try:
        with _screen():
            _live(read)
    except KeyboardInterrupt:
        pass
    return 0


def _live(read: Callable[[], Json]) -> None:
    import shutil

    colour = colour_on(sys.stdout)
    while True:
        columns, rows = shutil.get_terminal_size()
        shown = overview(read(), colour=colour, width=columns).splitlines()
        lines = [*shown[: rows - 2], f"{time.strftime('%H:%M:%S')}  q: quit"]
        sys.stdout.write(_HOME + "".join(f"{line}{_REST_OF_LINE}\n" for line in lines) + _REST_OF_SCREEN)
        sys.stdout.flush()
        if _quits(1.0):
            return


def _quits(seconds: float) -> bool:
    """Wait for ``seconds``; tells whether q was pressed meanwhile, or the input has ended."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0] and sys.stdin.read(1) in ("q", "Q", ""):
            return True
    return False


@contextmanager
def _screen() -> Iterator[None]:
    """Take the terminal for a while: keys at once, another screen; everything is given back."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
