"""Rehearse deploy/compose on this machine: ``python -m tests.rehearsal [--full]``; needs root and namespaces.

It takes some 20 s. With ``--full`` it waits until a person has been told of the alert and of its end, some minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rehearsal import stage

IN = "POOLWATCH_REHEARSAL"


def main() -> int:
    """Enter namespaces, play, and come out; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.rehearsal", description="Run deploy/compose without Docker.")
    parser.add_argument("--full", action="store_true", help="wait until somebody has been told, some minutes")
    options = parser.parse_args()
    if place := os.environ.get(IN):
        return play(Path(place), options.full)
    if problem := stage.problem():
        parser.error(problem)
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        argv = [sys.executable, "-m", "tests.rehearsal", *sys.argv[1:]]
        return subprocess.run(stage.apart(argv), cwd=stage.ROOT, env={**os.environ, IN: folder}).returncode


def play(place: Path, full: bool) -> int:
    """Start the services in their order and tell the story, inside the namespaces; gives the exit status."""
    from tests.rehearsal import services, story

    stage.build(place, services.SERVICES)
    services.hand_out_secrets()
    running: dict[str, services.Service] = {}
    try:
        running.update(services.run_all())
        story.tell(running, full)
    except AssertionError as error:
        logs = "".join(f"\n--- {name}:\n{service.written()[-4000:]}" for name, service in running.items())
        print(f"{logs}\nrehearsal: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
