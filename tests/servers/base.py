"""What all servers share: how a program is started as nobody, awaited, and certainly stopped."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
_ATTEMPTS = 3


class ServerError(Exception):
    """A server is not installed, or does not start; the text has its last words."""


@dataclass(frozen=True)
class Server:
    """A running server. ``dialect`` is SQLAlchemy's word for it, ``dsn`` the client library's own string.

    ``variables`` are what a child process needs to find it.
    """

    dialect: str
    port: int
    user: str
    database: str
    pid: int
    dsn: str
    variables: dict[str, str] = field(default_factory=dict)
    host: str = HOST

    def url(self, driver: str) -> str:
        """Give SQLAlchemy's URL with a driver such as ``psycopg``, ``asyncpg``, ``pymysql`` or ``asyncmy``."""
        return f"{self.dialect}+{driver}://{self.user}@{self.host}:{self.port}/{self.database}"


def program(name: str, *places: str) -> str:
    """Give the path of a server's program, from folders (patterns) or else from PATH; raises ServerError.

    The folders come first: what Debian has in PATH under PostgreSQL's names are wrappers of another kind.
    """
    folders = sorted((folder for place in places for folder in glob.glob(place)), reverse=True)
    found = shutil.which(name, path=os.pathsep.join(folders)) or shutil.which(name)
    if found is None:
        raise ServerError(f"{name} is not installed; scripts/install-servers installs it")
    return os.path.realpath(found)


def tied(argv: list[str], at_death: signal.Signals, *flags: str) -> list[str]:
    """Wrap a command so that the kernel sends it ``at_death`` when the thread that started it ends."""
    return ["setpriv", *flags, f"--pdeathsig={at_death.name.removeprefix('SIG')}", "--", *argv]


def as_nobody(argv: list[str], at_death: signal.Signals) -> list[str]:
    """Wrap a command as ``tied`` does, and where we are root make it nobody: servers refuse to be root."""
    flags = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    return tied(argv, at_death, *flags)


@contextmanager
def folder() -> Iterator[Path]:
    """Make a temporary folder that belongs to the server's user, and remove it afterwards."""
    path = Path(tempfile.mkdtemp(prefix="server-"))
    try:
        if os.getuid() == 0:
            shutil.chown(path, "nobody")
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def complete(argv: list[str], place: Path) -> None:
    """Run a program to its end in ``place``; raises ServerError with its output where it fails."""
    done = subprocess.run(
        as_nobody(argv, signal.SIGKILL),
        cwd=place,
        env=_environment(place),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise ServerError(f"{argv[0]} failed with {done.returncode}: {done.stdout[-2000:]}")


@contextmanager
def running(
    command: Callable[[int], list[str]],
    ready: Callable[[int], bool],
    place: Path,
    stop: signal.Signals,
    wrap: Callable[[list[str], signal.Signals], list[str]] = as_nobody,
) -> Iterator[tuple[int, int]]:
    """Run ``command(port)`` until the block ends; gives port and pid once ``ready(port)`` holds.

    ``stop`` is the signal that ends it quickest without leaving anything behind. Somebody may take the free
    port before the server does, so there are several attempts. Raises ServerError.
    """
    for _ in range(_ATTEMPTS):
        port = free_port()
        process = _start(wrap(command(port), stop), place)
        try:
            if _await(process, ready, port):
                yield port, process.pid
                return
            if process.poll() is None:  # another port would not help
                break
        finally:
            _end(process, stop)
    raise ServerError(f"{command(port)[0]} does not start: {_log(place).read_text()[-2000:]}")


def free_port() -> int:
    """Give a port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether something accepts connections on the port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _start(argv: list[str], place: Path) -> subprocess.Popen[bytes]:
    with _log(place).open("ab") as log:
        return subprocess.Popen(
            argv, cwd=place, env=_environment(place), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def _environment(place: Path) -> dict[str, str]:
    """Give each server temporary files of its own: a MariaDB that starts removes those of others in /tmp."""
    return {**os.environ, "TMPDIR": str(place)}


def _await(process: subprocess.Popen[bytes], ready: Callable[[int], bool], port: int, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if ready(port):
            return True
        time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    process.send_signal(stop)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _log(place: Path) -> Path:
    return place / "server.log"
