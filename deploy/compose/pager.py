"""Stands for whatever wakes people: prints what Alertmanager sends to 127.0.0.1:9099."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Pager(BaseHTTPRequestHandler):
    """Takes Alertmanager's webhook."""

    def do_POST(self) -> None:
        """Print a line for each alert of a message."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in message["alerts"]:
            summary = alert["annotations"].get("summary", alert["labels"]["alertname"])
            print(f"{self.path} {alert['status']}: {summary}", flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing of the requests themselves."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Pager).serve_forever()
