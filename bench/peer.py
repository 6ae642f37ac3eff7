"""The other side of an exporter, in a process of its own, so that its CPU time counts nowhere.

    python -m bench.peer scrape URL    ask for the metrics, then each second again
    python -m bench.peer receive       take what is sent by OTLP over HTTP; prints its URL

Either ends when its standard input does.
"""

from __future__ import annotations

import select
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
"""What Prometheus asks for."""
PERIOD = 1.0
"""Seconds."""


class Taking(BaseHTTPRequestHandler):
    """Takes every message, as a collector would, and says no more than that."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Print nothing."""


def scrape(url: str) -> None:
    """Ask for the metrics again and again."""
    while True:
        with urlopen(Request(url, headers={"Accept": ACCEPT}), timeout=30) as answer:
            answer.read()
        if select.select([sys.stdin], [], [], PERIOD)[0]:
            return


def receive() -> None:
    """Take what comes to a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    scrape(sys.argv[2]) if sys.argv[1] == "scrape" else receive()
