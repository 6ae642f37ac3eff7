"""Let a real Prometheus scrape real programs: the demo, and the tutorial's service, leaking and then mended."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import yaml

from tests.servers.base import HOST, answers, folder, free_port, program, running, tied

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "prometheus"
POOLWATCH = [sys.executable, "-m", "poolwatch"]
PAUSE = 0.2
"""Seconds between two requests."""
SCRAPE = 1
"""Seconds between two scrapes."""
GUESTS = 12
"""Customers without orders, evenly spread over the time: eight of them fill the pool, after that nobody is served."""


@contextmanager
def recorded(seconds: float) -> Iterator[str]:
    """Give the address of a Prometheus that has scraped for ``seconds``; after two thirds the service was mended."""
    with ExitStack() as stack:
        place, data = stack.enter_context(folder()), stack.enter_context(folder())
        shutil.copytree(ROOT / "examples" / "orders", place / "orders")
        shutil.copytree(ROOT / "agent" / "poolwatch", place / "poolwatch")  # sites are named by their paths
        metrics = free_port()
        demo, _ = stack.enter_context(running(_demo(seconds), answers, place, signal.SIGKILL, tied))
        shutil.copytree(DEPLOY / "rules", data / "rules")  # for nobody, who may not look into everybody's clone
        (data / "prometheus.yml").write_text(_configuration(shop=demo, orders=metrics))
        port, _ = stack.enter_context(running(_prometheus(data), answers, data, signal.SIGKILL))
        with _service("leaking", place, metrics) as orders:
            _ask(orders, seconds * 2 / 3)
        with _service("fixed", place, metrics) as orders:
            _ask(orders, seconds / 3)
            yield f"http://{HOST}:{port}"


def _demo(seconds: float) -> Callable[[int], list[str]]:
    return lambda port: [*POOLWATCH, "demo", f"--port={port}", f"--seconds={seconds * 0.6}", "--stay=3600"]


def _prometheus(data: Path) -> Callable[[int], list[str]]:
    command = [program("prometheus"), f"--config.file={data}/prometheus.yml", f"--storage.tsdb.path={data}/tsdb"]
    return lambda port: [*command, f"--web.listen-address={HOST}:{port}"]


def _configuration(**targets: int) -> str:
    """Give the configuration of deploy/, but quicker, and with these services."""
    given = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    given["global"] = {"scrape_interval": f"{SCRAPE}s", "evaluation_interval": f"{SCRAPE}s"}
    given["alerting"] = {}
    jobs = [(name, [{"targets": [f"{HOST}:{port}"]}]) for name, port in targets.items()]
    given["scrape_configs"] = [{"job_name": name, "static_configs": configs} for name, configs in jobs]
    return str(yaml.safe_dump(given))


@contextmanager
def _service(name: str, place: Path, metrics: int) -> Iterator[int]:
    def command(port: int) -> list[str]:
        uvicorn = [sys.executable, "-m", "uvicorn", f"{name}:app", f"--port={port}", "--log-level=error"]
        return [*POOLWATCH, "run", f"--serve={HOST}:{metrics}", "--", *uvicorn]

    with running(command, answers, place / "orders", signal.SIGINT, tied) as (port, _):
        yield port


def _ask(port: int, seconds: float) -> None:
    """Ask for the orders of one customer, and now and then of another who has none."""
    begin, guests = time.monotonic(), 0
    while (passed := time.monotonic() - begin) < seconds:
        strange = passed * GUESTS >= (guests + 1) * seconds
        guests += strange
        customer = f"guest-{guests}" if strange else "ann"
        with suppress(HTTPError), urlopen(f"http://{HOST}:{port}/orders/{customer}", timeout=10):
            pass
        time.sleep(PAUSE)
