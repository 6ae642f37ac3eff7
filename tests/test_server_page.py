"""The page as a browser shows it, and the metrics as Prometheus scrapes them."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from poolwatch.model import Frame, Json, Owner
from poolwatch.server import Server, serve
from tests.browser import CHROMIUM, FLAGS, tab
from tests.launcher import until
from tests.test_metrics import FINDING, POOL, SITE, SNAPSHOT, report

EVIL = '<img src=x onerror="document.title=1"><script>document.title = 2</script>'
OWNER = Owner(7, "clerk-3", kind="task", task="Task-12", scope="GET /orders", alive=False)
HOLDERS = [{"owner": f"clerk-{age}", "age_seconds": age, "site": f"shop.py:{age} sell"} for age in range(1, 7)]
WAITER = {"owner": "clerk-9", "waited_seconds": 30.0, "timed_out": True, "site": "shop.py:9 ask"}
FOUND = (
    replace(FINDING, id="a", kind="leak.overdue", grade="suspected", first_seen=20.0, summary=EVIL),
    replace(
        FINDING, id="b", state="resolved", resolution="returned after 73 s",
        lease={"holders": [*HOLDERS, {**HOLDERS[0], "age_seconds": 60, "scope": "GET /till", "alive": False}],
               "waiters": [WAITER]},
    ),
    replace(FINDING, id="c", kind="leak.owner_ended", grade="probable", first_seen=30.0, retained_by=("KEPT[0]",)),
    replace(
        FINDING, id="d", kind="crossing.session", first_seen=88.0, hint="one Session for each thread", site=SITE.site,
        owners=(OWNER,), stacks={"checkout": (Frame("shop.py", 41, "sell"),)},
    ),
)  # fmt: skip
TOKEN = "open-sesame-0123456789"


class Text(HTMLParser):
    """The text of a page, piece by piece, and its elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.pieces.append(data.strip())


def browse(server: Server, folder: Path) -> Text:
    """Give the page as it stands after its script has run."""
    wait = ("--virtual-time-budget=3000", f"--user-data-dir={folder}", "--dump-dom")
    argv = [CHROMIUM, *FLAGS, *wait, server.url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return Text(done.stdout)


def test_page_shows_pools_and_findings_worst_first(tmp_path: Path) -> None:
    """A browser shows every pool, and the findings in the order in which they hurt, all of it as text."""
    shown = replace(SNAPSHOT, pools=(replace(POOL, name=EVIL), POOL), findings=FOUND)
    with serve("127.0.0.1:0", lambda: report(shown)) as server:
        page = browse(server, tmp_path)
    grades = [attrs["class"] for tag, attrs in page.elements if tag == "article"]
    assert grades == ["proved", "probable", "suspected", "resolved"]
    for text in (
        "Findings (3 open)", "crossing.session", "orders, first seen 12 s ago, 3 times", "one Session for each thread",
        "Task-12 on thread clerk-3 (pid 7, in GET /orders), ended", "shop.py:41 sell", "KEPT[0]",
        "returned after 73 s", "sqlalchemy QueuePool", "Live",
    ):  # fmt: skip
        assert text in page.pieces, text
    people = page.pieces[page.pieces.index("held by") + 1].split("\n")
    assert people[0] == "clerk-1, in GET /till, ended, for 60 s, from shop.py:1 sell"
    assert people[1:-1] == [f"clerk-{age}, for {age}.0 s, from shop.py:{age} sell" for age in (6, 5, 4)]
    assert people[-1] == "… and 3 more"
    assert page.pieces[page.pieces.index("waiting") + 1] == "clerk-9, timed out, for 30 s, at shop.py:9 ask"
    assert page.pieces.count(EVIL) == 2
    assert "img" not in [tag for tag, _ in page.elements]
    assert page.pieces[0] == "(3) poolwatch"
    assert [attrs["style"] for tag, attrs in page.elements if attrs.get("class") == "used" and "style" in attrs]


def test_page_without_anything(tmp_path: Path) -> None:
    """Before anything has happened the page says so."""
    with serve("127.0.0.1:0", lambda: report(replace(SNAPSHOT, pools=(), findings=(), sites=()))) as server:
        page = browse(server, tmp_path)
    assert "No pool has been used yet." in page.pieces
    assert "Nothing found." in page.pieces


def test_page_says_when_nobody_answers(tmp_path: Path) -> None:
    """Numbers that are not there are not made up."""

    def read() -> Json:
        raise RuntimeError("no report")

    with serve("127.0.0.1:0", read) as server:
        assert "No answer" in browse(server, tmp_path).pieces


def test_page_asks_for_the_token(tmp_path: Path) -> None:
    """Where the report is for those who have the token, the page asks for it, and keeps it for its tab alone."""
    with serve("127.0.0.1:0", report, token=TOKEN) as server, tab(tmp_path, server.url) as page:
        page.shows("A token is needed")
        assert page.do("document.activeElement.id") == "token"
        assert "Pools" not in page.do("document.body.innerText")
        page.enter("token", f"{TOKEN}-not")
        page.shows("Not this token")
        page.enter("token", TOKEN)
        page.shows("Live")
        page.shows("leak.collected")
        assert not {"Show the report", "report.json"} & set(page.do("document.body.innerText").split("\n"))
        page.do("window.before = 1; location.reload()")
        until(lambda: page.do("window.before === undefined"))
        page.shows("Live")
        assert page.do("Object.values(sessionStorage)") == [TOKEN]
        assert page.do("[localStorage.length, document.cookie, location.href]") == [0, "", server.url]
        assert page.do("performance.getEntriesByType('resource').filter(one => one.name.includes('sesame'))") == []


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[str]:
    """Run a Prometheus that scrapes a port of this machine every second; gives its address."""
    config = {
        "scrape_configs": [
            {
                "job_name": "shop",
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
            }
        ]
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = (f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}")
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen(["prometheus", *flags, f"--web.listen-address={address}"], stderr=log) as process,
    ):
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def query(address: str, expression: str) -> list[Json]:
    """Ask Prometheus; nothing where it does not answer yet."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/query?query={expression}", timeout=5) as response:
            found: list[Json] = json.load(response)["data"]["result"]
            return found
    except OSError:
        return []


@pytest.mark.timeout(60)
def test_prometheus_scrapes_it(tmp_path: Path) -> None:
    """A real Prometheus takes the metrics from our server and answers with them."""
    with serve("127.0.0.1:0", report) as server, prometheus(tmp_path, server.port) as address:
        end = time.monotonic() + 30
        while not (up := query(address, "up==1")) and time.monotonic() < end:
            time.sleep(0.2)
        assert up, (tmp_path / "log").read_text()
        used = query(address, "db_client_connection_count%7Bdb_client_connection_state=%22used%22%7D")
        assert [(one["metric"]["db_client_connection_pool_name"], one["value"][1]) for one in used] == [("orders", "2")]
        median = "histogram_quantile(0.5,db_client_connection_use_time_seconds_bucket)"
        assert len(query(address, median)) == 1
        assert query(address, "poolwatch_findings%7Bkind=%22leak.collected%22%7D")[0]["value"][1] == "1"
