"""The dashboards: built from code, true to the metrics we give, and with data in a real Prometheus."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from poolwatch.export.names import NAMES
from tests.promql import metrics
from tests.servers.base import HOST, answers, folder, program, running, tied

pytestmark = pytest.mark.xdist_group("dashboards")  # one Prometheus and one shop for all

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "dashboards"
DEPLOY = ROOT / "deploy" / "prometheus"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}

PATIENCE = 60
"""Seconds after which what should come is believed to be missing."""
UNSHOWN: dict[str, str] = {}
"""Metrics that are on no dashboard and in no rule, and why."""
EMPTY_WHEN_WELL = {"Time to exhaustion", "Errors of hooks", "Dropped", "Deploys and restarts"}
"""Panels that have nothing to show where no pool fills up slowly and poolwatch itself is well."""

SHOP = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
import poolwatch
from poolwatch.demo import leaks
from poolwatch.demo.shop import Shop, open_branch
from poolwatch.demo.stage import Stage

watch = poolwatch.install(serve=f"127.0.0.1:{sys.argv[1]}", overdue_after=1, idle_in_transaction_after=1, grace=0.2)
stage = Stage(watch, Path.cwd())
def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.05)

with Shop(stage.folder), ExitStack() as scenes:
    wait_for("scraped")  # increase() does not see a counter's first value
    for scene in (leaks.drop, leaks.keep, leaks.dawdle, leaks.pay, leaks.share_connection, leaks.exhaust):
        scenes.enter_context(scene(stage))
    wait_for("scraped again")
    scenes.enter_context(leaks.exhaust(stage))
    engine = open_branch(stage.folder, "desk")
    while True:
        with poolwatch.scope("GET /orders"), engine.connect() as connection:
            connection.execute(leaks.COUNT)
        time.sleep(0.1)
"""
EXPECTED_ALERTS = {"PoolwatchLeakProved", "PoolwatchPoolExhausted", "PoolwatchTimeouts", "PoolwatchCrossing"}


@dataclass(frozen=True)
class Panel:
    """One expression of a dashboard and where it stands."""

    board: str
    title: str
    expression: str

    def __str__(self) -> str:
        return f"{self.board}: {self.title}"


def _panels() -> Iterator[Panel]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Panel(name, panel["title"], target["expr"])
        for annotation in board["annotations"]["list"]:
            yield Panel(name, annotation["name"], annotation["expr"])


PANELS = list(_panels())


class Prometheus:
    """A running Prometheus that scrapes the shop at ``shop`` (HOST:PORT)."""

    def __init__(self, port: int, shop: str) -> None:
        self._url = f"http://{HOST}:{port}/api/v1/query?"
        self.shop = shop

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Give the samples that an expression has now; raises HTTPError where Prometheus refuses it."""
        with urlopen(self._url + urlencode({"query": expression}), timeout=10) as answer:
            told = json.load(answer)
        assert told["status"] == "success"
        assert told["data"]["resultType"] == "vector"
        return list(told["data"]["result"])

    def await_data(self, expression: str) -> None:
        """Wait until an expression gives something."""
        deadline = time.monotonic() + PATIENCE
        while not self.ask(expression):
            assert time.monotonic() < deadline, f"nothing after {PATIENCE} s: {expression}"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    """Give a Prometheus, as configured in deploy/ but quicker, that has watched a shop leak for some seconds."""
    with folder() as place, folder() as data:
        shop = [sys.executable, "-W", "ignore", "-c", SHOP]
        with running(lambda port: [*shop, str(port)], answers, place, signal.SIGKILL, tied) as (shop_port, _):
            address = f"{HOST}:{shop_port}"
            (data / "prometheus.yml").write_text(_configuration(address))
            command = [
                program("prometheus"),
                f"--config.file={data}/prometheus.yml",
                f"--storage.tsdb.path={data}/tsdb",
            ]
            with running(
                lambda port: [*command, f"--web.listen-address={HOST}:{port}"], _is_ready, data, signal.SIGKILL
            ) as (port, _):
                server = Prometheus(port, address)
                server.await_data("poolwatch_build_info")
                (place / "scraped").touch()
                server.await_data("db_client_connection_timeouts_total > 0")
                (place / "scraped again").touch()
                for alert in sorted(EXPECTED_ALERTS):
                    server.await_data(f'ALERTS{{alertname="{alert}", alertstate="firing"}}')
                server.await_data('poolwatch_findings{kind="leak.overdue"} > 0')
                server.await_data("rate(poolwatch_scope_leases_total[4s]) > 0")
                yield server


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{HOST}:{port}/-/ready", timeout=1):
            return True
    except OSError:
        return False


def _configuration(address: str) -> str:
    given = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    given["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    given["rule_files"] = [str(DEPLOY / name) for name in given["rule_files"]]
    given["alerting"] = {}
    given["scrape_configs"][0]["static_configs"] = [{"targets": [address]}]
    return str(yaml.safe_dump(given))


def filled(expression: str, **variables: str) -> str:
    """Give an expression as Grafana sends it: with every variable filled in, "All" where none is given."""
    values = {"__rate_interval": "4s", "__range": "1m", "job": ".*", "instance": ".*", "pool": ".*", **variables}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)


@pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")  # Grafana 12 and older know v1 only
def test_json_is_what_the_code_builds() -> None:
    """The committed JSON is built from the code beside it, and the SDK reads it back without loss."""
    pytest.importorskip("grafana_foundation_sdk", reason="the SDK needs Python 3.11")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from dashboards.build import BUILDERS, render

    assert set(BOARDS) == set(BUILDERS)
    register_default_plugins()
    for name, board in BOARDS.items():
        assert (FOLDER / f"{name}.json").read_text() == render(name), "run: python -m dashboards.build"
        assert json.loads(JSONEncoder().encode(Dashboard.from_json(board))) == board


@pytest.mark.parametrize("panel", PANELS, ids=str)
def test_expressions_name_what_is_exported(panel: Panel) -> None:
    """No expression names a metric that the code does not export."""
    assert metrics(panel.expression) <= {name.prometheus for name in NAMES}


def test_every_metric_is_shown() -> None:
    """Each metric is on a dashboard or in a rule, or a list says why not."""
    read = [panel.expression for panel in PANELS] + [(DEPLOY / "rules" / "poolwatch.rules.yml").read_text()]
    shown = {metric for text in read for metric in metrics(text)}
    assert {name.prometheus for name in NAMES} - shown == UNSHOWN.keys()


@pytest.mark.parametrize("name", BOARDS)
def test_panels_are_described(name: str) -> None:
    """Each panel has a title, a description, a unit, the chosen data source, and a place beside the others."""
    board = BOARDS[name]
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "job", "instance", "pool"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        defaults = panel["fieldConfig"]["defaults"]
        assert "unit" in defaults or panel["options"]["yAxis"]["unit"] == "s"


@pytest.mark.parametrize("name", BOARDS)
def test_units_follow_the_metrics(name: str) -> None:
    """What is asked in seconds is shown in seconds."""
    for panel in BOARDS[name]["panels"]:
        for target in panel.get("targets", ()):
            asked = re.match(r"(max|histogram_quantile)\b.*_seconds", target["expr"]) is not None
            assert not asked or panel["fieldConfig"]["defaults"]["unit"] == "s", panel["title"]


@pytest.mark.parametrize("panel", PANELS, ids=str)
def test_expressions_run(panel: Panel, prometheus: Prometheus) -> None:
    """Each expression is accepted by a real Prometheus, and has data where a shop leaks."""
    found = prometheus.ask(filled(panel.expression))
    assert found or panel.title in EMPTY_WHEN_WELL
    prometheus.ask(filled(panel.expression, job="shop", instance=prometheus.shop, pool="hotline|shop"))


@pytest.mark.parametrize("name", BOARDS)
def test_variables_have_values(name: str, prometheus: Prometheus) -> None:
    """Each variable has something to choose from."""
    for variable in BOARDS[name]["templating"]["list"][1:]:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert asked is not None
        found = prometheus.ask(f"count by ({asked[2]}) ({filled(asked[1])})")
        assert [sample["metric"][asked[2]] for sample in found]


def test_only_expected_alerts_fire(prometheus: Prometheus) -> None:
    """The shop's leaks make the alerts that they should, and no others."""
    firing = {sample["metric"]["alertname"] for sample in prometheus.ask('ALERTS{alertstate="firing"}')}
    assert firing == EXPECTED_ALERTS


def test_findings_are_those_of_the_report(prometheus: Prometheus) -> None:
    """What the dashboard lists as open is what the shop's own report says."""
    with urlopen(f"http://{prometheus.shop}/report.json", timeout=10) as answer:
        report = json.load(answer)
    told = {(f["kind"], f["grade"], f["pool"]) for f in report["findings"] if f["state"] == "open"}
    listing = next(panel for panel in PANELS if panel.title == "Open now")
    found = [sample["metric"] for sample in prometheus.ask(filled(listing.expression))]
    assert {(labels["kind"], labels["grade"], labels["pool"]) for labels in found} == told
