"""What the scenes share: poolwatch's Watch, a folder for databases, and the reports of child processes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import poolwatch
from poolwatch.model import Json
from poolwatch.report.merge import merge


@dataclass
class Stage:
    """Where the scenes are played."""

    watch: poolwatch.Watch
    folder: Path
    children: list[Json] = field(default_factory=list)
    """Reports that child processes left."""

    def report(self) -> Json:
        """Give the report of this process and its children."""
        return merge([self.watch.report(), *self.children])

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
