"""The HTTP server: what it answers, whom it refuses, and that it stops."""

from __future__ import annotations

import gc
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from poolwatch.errors import ConfigError
from poolwatch.host import native
from poolwatch.host.native import with_collector_paused
from poolwatch.model import Json
from poolwatch.server import Server, listener, serve
from tests.test_metrics import report


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server on a free port."""
    with serve("127.0.0.1:0", report) as running:
        yield running


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """Send one request; gives response and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_report(server: Server) -> None:
    """The report is served as it is."""
    response, body = ask(server, "/report.json")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == report()


def test_metrics(server: Server) -> None:
    """Metrics are served in Prometheus' text format, and as OpenMetrics to whoever asks for it."""
    response, body = ask(server, "/metrics?x=1", Accept="text/plain")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"poolwatch_findings{" in body
    response, body = ask(server, "/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert response.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert body.endswith(b"# EOF\n")


def test_metrics_may_be_read_from_a_smaller_report() -> None:
    """Metrics come from the reader that was given for them."""

    def full() -> Json:
        raise AssertionError("not for metrics")

    with serve("127.0.0.1:0", full, report) as server:
        assert ask(server, "/metrics")[0].status == 200


def test_page_is_self_contained(server: Server) -> None:
    """The page brings its own style and script, and a policy that lets nothing else in."""
    response, body = ask(server, "/")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert b"{{" not in body
    assert b"src=" not in body
    assert b"http:" not in body


def test_health(server: Server) -> None:
    """Health needs no report."""
    assert ask(server, "/healthz")[1] == b"ok\n"


def test_head_has_no_body(server: Server) -> None:
    """HEAD gives the headers of GET."""
    response, body = ask(server, "/report.json", "HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_get_and_head(server: Server, method: str) -> None:
    """Nothing can be changed."""
    assert ask(server, "/", method)[0].status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/web/page.js",
        "/favicon.ico",
        "http://127.0.0.1/metrics",
    ],
)
def test_there_are_no_files(server: Server, path: str) -> None:
    """What is no endpoint is not there."""
    assert ask(server, path)[0].status == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:9187", 200), ("127.0.0.1", 200),
     ("evil.example", 403), ("127.0.0.1.evil.example:80", 403), ("[::1", 403), ("", 403)],
)  # fmt: skip
def test_other_host_names_are_refused(server: Server, host: str, status: int) -> None:
    """A page elsewhere whose name was made to resolve to us cannot read the report."""
    assert ask(server, "/healthz", Host=host)[0].status == status


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "192.168.1.1:80", "example.com:80", "[::]:0", "127.0.0.1:99999", "127.0.0.1:x", ":80"]
)
def test_only_loopback(address: str) -> None:
    """Another host, or a port that is none, is refused by name, with what is allowed."""
    with pytest.raises(ConfigError, match=r"'serve'.* is not allowed; use a free port on localhost, 127\.0\.0\.1"):
        serve(address, report)


def test_other_machines_on_demand() -> None:
    """Who asks for it gets a server that other machines reach, under any name."""
    with serve("0.0.0.0:0", report, token="a-token-of-this-test") as server:
        assert ask(server, "/healthz", Host="shop.example")[0].status == 200


def test_a_taken_port_is_refused(server: Server) -> None:
    """A port in use is an option's bad value, with the system's reason."""
    with pytest.raises(ConfigError, match="in use"):
        serve(f"localhost:{server.port}", report)


def test_ipv6() -> None:
    """The other loopback works too."""
    with serve("[::1]:0", report) as server:
        assert server.url == f"http://[::1]:{server.port}/"
        socket.create_connection(("::1", server.port), timeout=5).close()


@pytest.mark.parametrize("path", ["/metrics", "/report.json"])
def test_a_report_that_cannot_be_read_is_503(path: str) -> None:
    """A scraper learns that there is nothing to scrape; what went wrong inside stays inside."""

    def read() -> Json:
        raise RuntimeError("secret")

    with serve("127.0.0.1:0", read) as server:
        response, body = ask(server, path)
        assert (response.status, body) == (503, b"no report: RuntimeError\n")


def say(server: Server, data: bytes) -> bytes:
    """Send raw bytes; gives all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
        return answer


def test_slow_clients_are_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that does not come is not waited for."""
    monkeypatch.setattr(listener, "TIMEOUT", 0.2)
    began = time.monotonic()
    assert say(server, b"GET / HTTP/1.1\r\n") == b""
    assert time.monotonic() - began < 3


def test_endless_heads_are_cut(server: Server) -> None:
    """A request has an end."""
    assert say(server, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * listener.MAX_HEAD) == b""


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\x16\x03\x01\x00\n\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_rubbish_is_answered_or_cut(server: Server, data: bytes) -> None:
    """What is no HTTP does no harm."""
    say(server, data)
    assert ask(server, "/healthz")[0].status == 200


def test_connections_are_bounded(server: Server) -> None:
    """Beyond the limit a connection is closed at once, and there is room again when others have gone."""
    address = ("127.0.0.1", server.port)
    held = [socket.create_connection(address, timeout=10) for _ in range(listener.MAX_CONNECTIONS)]
    try:
        with socket.create_connection(address, timeout=10) as one_more:
            assert one_more.recv(1) == b""
    finally:
        for connection in held:
            connection.close()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            assert ask(server, "/healthz")[0].status == 200
            return
        except (ConnectionError, http.client.RemoteDisconnected):
            time.sleep(0.05)
    raise AssertionError("no room after the others have gone")


def test_close_stops_at_once() -> None:
    """After close the port is free, no thread is left, and open connections have ended."""
    threads = len(os.listdir("/proc/self/task"))
    server = serve("127.0.0.1:0", report)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.1)
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 1
        assert waiting.recv(1) == b""
    serve(f"127.0.0.1:{server.port}", report).close()
    end = time.monotonic() + 2
    while len(os.listdir("/proc/self/task")) > threads and time.monotonic() < end:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/task")) <= threads


def test_close_twice() -> None:
    """Closing what is closed does nothing."""
    server = serve("127.0.0.1:0", report)
    server.close()
    server.close()


def test_the_threading_module_does_not_see_us() -> None:
    """The host's list of threads stays the host's."""
    before = threading.enumerate()
    with serve("127.0.0.1:0", report) as server:
        ask(server, "/report.json")
        ask(server, "/metrics")
        assert threading.enumerate() == before


def test_pause_and_resume(server: Server) -> None:
    """While paused there is no thread; who came meanwhile is answered afterwards."""
    server.pause()
    server.pause()
    time.sleep(0.1)
    threads = len(os.listdir("/proc/self/task"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as early:
        early.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        server.resume()
        server.resume()
        assert early.recv(15) == b"HTTP/1.0 200 OK"
    assert ask(server, "/healthz")[0].status == 200
    server.pause()
    time.sleep(0.1)
    assert len(os.listdir("/proc/self/task")) <= threads


FORKED = """
import os
from poolwatch.server import serve
from tests.test_metrics import report
import urllib.request
server = serve("127.0.0.1:0", report)
server.pause()
child = os.fork()
if child == 0:
    server.close()
    server.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
server.resume()
assert urllib.request.urlopen(server.url + "healthz", timeout=5).read() == b"ok\\n"
server.close()
"""


def test_a_child_lets_go_without_harm() -> None:
    """Closing in a forked child leaves the parent's server running."""
    done = subprocess.run([sys.executable, "-Werror", "-c", FORKED], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


GEVENT = """
from gevent import monkey
{early}
monkey.patch_all()
{late}
from tests.test_metrics import report
server = serve("127.0.0.1:0", report)
print(server.port, flush=True)
monkey.get_original("time", "sleep")(2)  # the hub stands still
server.close()
print("closed", flush=True)
"""


@pytest.mark.parametrize("early", [True, False], ids=["imported before", "imported after"])
def test_gevent_does_not_make_it_a_greenlet(early: bool) -> None:
    """Under gevent's patches the server answers while the hub stands still."""
    line = "from poolwatch.server import serve"
    code = GEVENT.format(early=line if early else "", late="" if early else line)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 200
        connection.close()
        assert time.monotonic() - began < 1.2
        assert process.stdout.read() == "closed\n"
    assert process.returncode == 0


class Loop:
    """Refers to itself, so that only the collector finds that nobody wants it; counts those that were found."""

    collected = 0

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Loop.collected += 1


def test_an_answer_runs_no_finalizer_of_the_host() -> None:
    """However much an answer allocates, the application's garbage is not collected in the server's thread meanwhile."""
    during: list[int] = []

    def read() -> Json:
        before = Loop.collected
        Loop()
        assert len([[] for _ in range(100_000)]) == 100_000
        during.append(Loop.collected - before)
        return report()

    with serve("127.0.0.1:0", read) as server:
        assert ask(server, "/metrics")[0].status == 200
    assert during == [0]
    gc.collect()
    assert Loop.collected == 1


def test_calls_that_overlap_share_one_rest_of_the_collector() -> None:
    """The collector goes on after the last of them, also after one that raised."""
    before = gc.get_threshold()

    def fail() -> None:
        raise RuntimeError("no answer")

    def outer() -> int:
        with pytest.raises(RuntimeError):
            with_collector_paused(fail)
        return gc.get_threshold()[0]

    assert with_collector_paused(outer) > 1_000_000
    assert gc.get_threshold() == before
    with pytest.raises(RuntimeError):
        with_collector_paused(fail)
    assert gc.get_threshold() == before


def test_calls_without_end_are_no_rest_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes when the collector has rested for long does not make it rest for longer."""
    monkeypatch.setattr(native, "_LONGEST_REST", 0.0)
    late_is_in, first_is_over = threading.Event(), threading.Event()
    before, found = gc.get_threshold(), []

    def late() -> None:
        late_is_in.set()
        assert first_is_over.wait(30)
        found.append(gc.get_threshold())

    def first() -> None:
        time.sleep(0.001)  # the clock's tick
        thread.start()
        assert late_is_in.wait(30)

    thread = threading.Thread(target=lambda: with_collector_paused(late))
    with_collector_paused(first)
    first_is_over.set()
    thread.join(30)
    assert found == [before]
