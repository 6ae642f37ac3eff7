"""Tells what happens, in plain words, and what poolwatch says of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from poolwatch import text
from poolwatch.demo.scenes import NOT_ON_SQLITE, Scene
from poolwatch.demo.shop import Shop
from poolwatch.demo.stage import Stage
from poolwatch.model import Json

PATIENCE = 4.0
"""Seconds to wait for a finding."""
_PAUSE = 0.15
"""Seconds to read what was found."""


class Narrator:
    """Speaks on standard output; numbers are redrawn in place on a terminal and printed line by line elsewhere."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._live = sys.stdout.isatty()

    def open(self, url: str) -> None:
        """Say where to look."""
        print("A small shop on SQLite, watched by poolwatch.")
        print(f"Page {url}  metrics {url}metrics", flush=True)

    def sale(self, shop: Shop, seconds: float) -> None:
        """Show the numbers while the shop sells correctly."""
        print(f"\nFor {seconds:g} s it sells and gives every connection back.", flush=True)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.25 if self._live else 1.0))
            line = f"  {shop.sold} sold; {self._numbers()}"
            print(f"\r\x1b[K{line}" if self._live else line, end="" if self._live else "\n", flush=True)
        print("" if self._live else "  Closing time.", flush=True)

    def _numbers(self) -> str:
        report = self._stage.report()
        used, idle, waiting = (sum(pool[what] for pool in report["pools"]) for what in ("used", "idle", "waiting"))
        return f"connections {used} used, {idle} idle, {waiting} waiting; {len(report['findings'])} findings"

    def leaks(self, scenes: Sequence[Scene]) -> list[Scene]:
        """Play the scenes one by one; gives those whose finding did not come."""
        self._tell_left_out(scenes)
        shown = [scene for scene in scenes if not scene.missing]
        print("\nNow it makes mistakes, one after the other.", flush=True)
        return [scene for number, scene in enumerate(shown, 1) if not self._show(scene, f"{number}/{len(shown)}")]

    def _tell_left_out(self, scenes: Sequence[Scene]) -> None:
        print("\nWhat cannot be shown here:")
        for scene in scenes:
            if missing := scene.missing:
                print(f"  {scene.kind}: {' and '.join(missing)} not installed (pip install {' '.join(missing)})")
        for kind, need in NOT_ON_SQLITE.items():
            print(f"  {kind}: needs {need} (poolwatch explain {kind})")

    def _show(self, scene: Scene, place: str) -> bool:
        print(f"\n[{place}] {scene.story}", flush=True)
        began = time.time()
        with scene.play(self._stage):
            finding = self._stage.wait_for(scene.kind, began, PATIENCE)
        self._tell(scene, finding, time.time() - began)
        time.sleep(_PAUSE)
        return finding is not None

    def _tell(self, scene: Scene, finding: Json | None, took: float) -> None:
        if finding is None:
            print(f"  {scene.kind} was NOT found within {PATIENCE:g} s", flush=True)
            return
        site = finding["site"]
        where = f" at {Path(site['file']).name}:{site['line']} {site['function']}" if site else ""
        print(f"  found after {took:.1f} s: {finding['kind']} ({finding['grade']}){where}", flush=True)

    def close(self, stay: float) -> None:
        """Print the whole report, then leave the page up for ``stay`` seconds."""
        print("\nThis is the report:\n")
        print(text.render(self._stage.report(), colour=text.colour_on(sys.stdout)), flush=True)
        if stay > 0:
            print(f"Serving for {stay:g} s more; Ctrl-C ends it.", flush=True)
            time.sleep(stay)
