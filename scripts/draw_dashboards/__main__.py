"""Draw the dashboards with Grafana's own front-end libraries, in Chromium: ``scripts/draw-dashboards``."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

from scripts.draw_dashboards.record import ROOT, SCRAPE, recorded
from scripts.make_pictures import CHROMIUM

PICTURES = ROOT / "docs" / "pictures"
LIBRARIES = ROOT / ".grafana"
FONTS = LIBRARIES / "node_modules/@fontsource/inter/files"
WIDTH = 1280
UNIT, HEAD = 38, 170
"""Pixels of one row of a dashboard's grid, and above the first."""
THEMES = ("light", "dark")
SERVICES = {"pools": "orders", "leaks": "orders"}
"""Dashboards that show the tutorial's service only."""
COLOURS = 128
"""Of a picture: few enough to keep it small."""


def main() -> None:
    """Record for some minutes, then draw each dashboard in light and in dark."""
    parser = argparse.ArgumentParser(
        description="Draw the dashboards from what a Prometheus has scraped.", prog="draw-dashboards"
    )
    parser.add_argument("--minutes", type=float, default=4, help="how long programs run before (default: 4)")
    parser.add_argument("--prometheus", metavar="URL", help="draw what this one has scraped instead")
    parser.add_argument("--to", metavar="FOLDER", type=Path, default=PICTURES, help="where the pictures go")
    args = parser.parse_args()
    if args.prometheus:
        draw(args.prometheus, args)
    else:
        with recorded(args.minutes * 60) as prometheus:
            draw(prometheus, args)


def draw(prometheus: str, args: argparse.Namespace) -> None:
    """Draw what ``prometheus`` (a URL) has."""
    now = datetime.now(timezone.utc)
    span = {"from": (now - timedelta(minutes=args.minutes)).isoformat(), "to": now.isoformat()}
    with served() as url, tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        for path in sorted((ROOT / "dashboards").glob("*.json")):
            for theme in THEMES:
                asked = {"board": path.stem, "prometheus": prometheus, "theme": theme, "scrape": SCRAPE} | span
                asked |= {"job": SERVICES[path.stem]} if path.stem in SERVICES else {}
                shoot(f"{url}?{urlencode(asked)}", args.to / f"{path.stem}-{theme}.png", height(path), profile)


def height(path: Path) -> int:
    """Give the pixels that a dashboard needs."""
    grid = [panel["gridPos"] for panel in json.loads(path.read_text())["panels"]]
    return HEAD + UNIT * max(int(place["y"] + place["h"]) for place in grid)


class Files(SimpleHTTPRequestHandler):
    """Serves the page, the bundle, the dashboards and the icons of @grafana/ui."""

    PLACES = (
        ("/dashboards/", ROOT / "dashboards"),
        ("/build/img/", LIBRARIES / "node_modules/@grafana/ui/dist/public/img"),
        ("/fonts/inter/Inter-Regular.woff2", FONTS / "inter-latin-400-normal.woff2"),
        ("/fonts/inter/Inter-Medium.woff2", FONTS / "inter-latin-500-normal.woff2"),
        ("/drawing.js", LIBRARIES / "drawing.js"),
        ("/drawing.css", LIBRARIES / "drawing.css"),
        ("/", Path(__file__).parent / "index.html"),
    )

    def translate_path(self, path: str) -> str:
        """Give the file behind a URL's path."""
        plain = path.partition("?")[0]
        begin, place = next((begin, place) for begin, place in self.PLACES if plain.startswith(begin))
        return str(place / plain.removeprefix(begin)) if place.is_dir() else str(place)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the page on a free port of the loopback address; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def shoot(url: str, target: Path, height: int, profile: str) -> None:
    """Draw ``url`` into a picture."""
    size = ["--virtual-time-budget=30000", f"--window-size={WIDTH},{height}", f"--screenshot={target}"]
    command = [*CHROMIUM, f"--user-data-dir={profile}", "--enable-logging=stderr", *size, url]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "grafanaBootData" not in line]
    with Image.open(target) as drawn:
        drawn.convert("RGB").quantize(COLOURS).save(target, optimize=True)
    print(*said, f"{target.name}: {target.stat().st_size // 1024} KB", sep="\n")


if __name__ == "__main__":
    main()
