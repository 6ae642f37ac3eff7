"""Runs a command as if this process were not there: signals in, exit status out.

The command stays in our process group, so what a terminal sends to the foreground group reaches it without us; what
somebody sends to our pid alone is passed on. Every signal is blocked here and taken by ``sigwaitinfo``: no handler
runs, and none is lost between two lines. As PID 1 of a container this also buries orphans.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence

NOT_FOUND, NOT_EXECUTABLE = 127, 126

_STOPS = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_OURS = {
    signal.SIGKILL, signal.SIGSTOP,  # cannot be had
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS,  # our own faults
    signal.SIGPIPE,
}  # fmt: skip
_TAKEN = signal.valid_signals() - _OURS


def block_signals() -> Iterable[int]:
    """Block what ``Launch.wait`` takes; gives the mask before. Do it before any thread starts: threads inherit it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)


class Launch:
    """A running command; ``status`` is what ``os.waitpid`` says of it, known once ``wait`` is back."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], mask: Iterable[int]) -> None:
        """Start ``command`` with the signal mask ``mask``; raises OSError where that is not possible."""
        self.status = 0
        self.pid = os.posix_spawnp(
            command[0],
            list(command),
            dict(environment),
            setsigmask=mask,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, the command must not inherit that
        )

    def wait(self) -> None:
        """Pass signals on until the command has ended."""
        while True:
            news = signal.sigwaitinfo(_TAKEN)
            if news.si_signo != signal.SIGCHLD:
                self._pass_on(news)
            elif self._buried():
                return

    def ending(self) -> str:
        """Say how the command has ended."""
        if os.WIFSIGNALED(self.status):
            return f"killed by {signal.Signals(os.WTERMSIG(self.status)).name}"
        return f"status {os.waitstatus_to_exitcode(self.status)}"

    def exited(self) -> bool:
        """Tell whether the command ended with a status, and not by a signal."""
        return os.WIFEXITED(self.status)

    def _pass_on(self, news: signal.struct_siginfo) -> None:
        if news.si_code > 0 or news.si_pid == self.pid:
            return  # from the kernel: a terminal has told the whole group; or the command signals its parent
        try:
            os.kill(self.pid, news.si_signo)
        except ProcessLookupError:
            pass

    def _buried(self) -> bool:
        """Take every child that has ended or stopped; tells whether the command has ended."""
        ended = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            if pid == self.pid and os.WIFSTOPPED(status):
                self._stop_with(os.WSTOPSIG(status))
            elif pid == self.pid:
                self.status, ended = status, True

    def _stop_with(self, number: int) -> None:
        """Stop as well, so that the shell sees a stopped job; its SIGCONT goes to the whole group."""
        if number in _STOPS:
            os.kill(os.getpid(), signal.SIGSTOP)


def failure(error: OSError, command: Sequence[str]) -> tuple[int, str]:
    """Say why a command could not be started: the exit status a shell would give, and a sentence."""
    if isinstance(error, FileNotFoundError):
        return NOT_FOUND, f"{command[0] or repr('')}: command not found"
    return NOT_EXECUTABLE, f"{command[0]}: cannot be executed: {error.strerror or error}"


def end_like(status: int) -> int:
    """Give the exit status of a command that exited; die of the same signal, without a core, where one killed it."""
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    number = os.WTERMSIG(status)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _die_of(number)
    return 128 + number


def _die_of(number: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
