"""What the scenes share: poolwatch's Watch, and a folder for databases and for the reports of child processes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import poolwatch
from poolwatch.cli.gather import Gathering
from poolwatch.model import Json
from poolwatch.report import spool
from poolwatch.report.merge import merge


@dataclass(frozen=True)
class Stage:
    """Where the scenes are played."""

    watch: poolwatch.Watch
    folder: Path

    def report(self) -> Json:
        """Give the report of this process and its children, living and dead."""
        ours = self.watch.report()
        children = Gathering(str(self.folder), frozenset({spool.file_name(ours)})).running()
        return merge([ours, children])

    def wait_for(self, kind: str, since: float, patience: float) -> Json | None:
        """Wait up to ``patience`` seconds for a finding of ``kind`` that was seen after ``since`` (Unix time)."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            for finding in self.report()["findings"]:
                if finding["kind"] == kind and finding["last_seen"] >= since:
                    found: Json = finding
                    return found
            time.sleep(0.05)
        return None
