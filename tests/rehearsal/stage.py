"""The stage: a root folder in memory, with the system's programs and this checkout in it and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev", "/proc", "/sys")
_SPARE = Path("/checkout")
"""Where the checkout lies a second time."""
_PRIVATE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def problem() -> str:
    """Say why there can be no stage here; empty where there can."""
    if os.getuid() != 0:
        return "namespaces need root"
    if not shutil.which("ip"):
        return "ip (iproute2) is not installed"
    done = subprocess.run([*_PRIVATE, "true"], capture_output=True, text=True)
    return f"no namespaces: {done.stderr.strip()}" if done.returncode else ""


def apart(argv: list[str]) -> list[str]:
    """Wrap a command so that it runs in namespaces of its own, and all that it has started ends with it."""
    return [*_PRIVATE, "--", *argv]


def build(place: Path, names: Iterable[str]) -> None:
    """Make the root folder at ``place`` and go there; ``names`` become addresses. To be called apart."""
    _run("ip", "link", "set", "lo", "up")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(place))
    for path in (*_SYSTEM, sys.base_prefix, str(ROOT), sys.prefix):
        _bring(place, Path(path))
    lay(ROOT, place / _SPARE.relative_to("/"))
    shutil.copytree("/etc", place / "etc", symlinks=True)
    for folder in ("run", "tmp", "var/tmp"):
        (place / folder).mkdir(parents=True, exist_ok=True)
        (place / folder).chmod(0o1777)
    (place / "etc" / "hosts").write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
    with (place / "etc" / "passwd").open("a") as users:
        users.write("database:x:999:999::/:/bin/sh\n")  # PostgreSQL wants its user to have a name
    os.chroot(place)
    os.chdir("/")


def _bring(place: Path, path: Path) -> None:
    """Put a folder of the machine onto the stage, where it was; its parents are open to all users."""
    target = place / path.relative_to("/")
    if not path.exists() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.symlink_to(os.readlink(path))
        return
    target.mkdir()
    _run("mount", "--rbind", str(path), str(target))


def lay(source: Path, target: Path) -> None:
    """Let a file or folder of the checkout lie at ``target`` too, as a container's volume does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.mkdir(exist_ok=True) if source.is_dir() else target.touch()
    _run("mount", "--bind", str(source), str(target))


def read_only(argv: list[str], user: str, new: Iterable[str]) -> list[str]:
    """Wrap a command so that it runs as a user (uid:gid) with no folder to write to but volumes and ``new`` ones."""
    uid, gid = user.split(":")
    mounts = ["mount -o remount,bind,ro /"]
    for folder in new:
        mounts.append(f"mount -t tmpfs -o mode=1777 tmpfs {folder}")
        if ROOT.is_relative_to(folder):  # the checkout lies below it, and was hidden by it
            mounts += [f"mkdir -p {ROOT}", f"mount --rbind {_SPARE} {ROOT}"]
    become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    return ["unshare", "--mount", "sh", "-ec", "; ".join([*mounts, 'exec "$@"']), "sh", *become, *argv]


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)
