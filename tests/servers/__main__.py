"""Run a command beside real servers: ``python -m tests.servers postgres mariadb mssql -- COMMAND...``.

The command finds them in POSTGRES_URL, MARIADB_URL and MSSQL_URL, and in what the clients read (PGHOST ...).
Exits with the command's status; the servers end with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from tests.servers import Server, mariadb, mssql, postgres

_SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "mariadb": mariadb,
    "mssql": mssql,
    "postgres": postgres,
}


def main(arguments: list[str]) -> int:
    """Start the servers named before ``--``, run what comes after it; gives its status."""
    if "--" not in arguments or not set(names := arguments[: arguments.index("--")]) <= set(_SERVERS):
        sys.exit(f"usage: python -m tests.servers [{'] ['.join(_SERVERS)}] -- COMMAND...")
    command = arguments[len(names) + 1 :]
    with ExitStack() as running:
        variables = dict(os.environ)
        for name in names:
            variables |= running.enter_context(_SERVERS[name]()).variables
        return subprocess.run(command, env=variables).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
