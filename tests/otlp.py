"""OTLP receivers that are not ours: oteltap takes HTTP; for gRPC rotel stands before it and passes on what it gets."""

from __future__ import annotations

import gzip
import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import rotel
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from oteltap.oteltap_core import OtelTapCore, OtelTapFlags

DEADLINE = 30.0
_POLL = 50


class Received:
    """What a receiver got so far."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.spans: list[Span] = []
        self.metrics: list[Metric] = []
        self.logs: list[LogRecord] = []

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """Take in what comes until ``condition`` gives something true, and give that."""
        deadline = monotonic() + DEADLINE
        while True:
            self._take(OtelTapCore.oteltap_poll_trace, Span, self.spans)
            self._take(OtelTapCore.oteltap_poll_metric, Metric, self.metrics)
            self._take(OtelTapCore.oteltap_poll_log, LogRecord, self.logs)
            found = condition()
            if found:
                return found
            assert monotonic() < deadline, self._summary()

    def _summary(self) -> str:
        return f"spans {[span.name for span in self.spans]}, {len(self.metrics)} metrics, {len(self.logs)} log records"

    def _take(self, poll: Any, kind: Any, into: list[Any]) -> None:
        while (answer := poll(self._handle, _POLL))[1] is not None:
            into.append(kind.FromString(answer[1]))


@contextmanager
def receiver(protocol: str) -> Iterator[tuple[str, Received]]:
    """Start a receiver of ``grpc`` or ``http/protobuf``; gives its endpoint and what it gets."""
    port = free_port()
    status, handle = OtelTapCore.oteltap_start_receiving_http_protobuf(port, OtelTapFlags.NONE, None, None, None)
    assert status >= 0, status
    try:
        if protocol == "grpc":
            with _before(port) as endpoint:
                yield endpoint, Received(handle)
        else:
            yield f"http://127.0.0.1:{port}", Received(handle)
    finally:
        OtelTapCore.oteltap_stop_receiving(handle)


@contextmanager
def _before(port: int) -> Iterator[str]:
    """Start rotel, which takes gRPC and passes it on, zipped whatever one asks for, to the receiver of HTTP."""
    agent, grpc = Path(rotel.__file__).parent / "rotel-agent", free_port()
    with _unzipping(port) as relay:
        words = [
            agent, "start", "--batch-timeout", "50ms",
            "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{free_port()}",
            "--exporter", "otlp", "--otlp-exporter-protocol", "http",
            "--otlp-exporter-endpoint", f"http://127.0.0.1:{relay}",
        ]  # fmt: skip
        bare = {"PATH": os.environ.get("PATH", "")}
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=bare)
        try:
            _wait_for_port(grpc)
            yield f"http://127.0.0.1:{grpc}"
        finally:
            process.kill()
            process.wait()


@contextmanager
def _unzipping(port: int) -> Iterator[int]:
    """Unzip requests on their way to ``port``, where oteltap does not; gives the port in front."""

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            onward = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
            onward.request("POST", self.path, body, {"Content-Type": self.headers["Content-Type"]})
            self.send_response(onward.getresponse().status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            onward.close()

        def log_message(self, *words: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(port: int) -> None:
    deadline = monotonic() + DEADLINE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert monotonic() < deadline


def attributes(item: Any) -> dict[str, Any]:
    """Give the attributes of a span, event, log record or data point."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in item.attributes}
