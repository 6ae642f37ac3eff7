"""The dashboards: built from code, true to the metrics we give, and with data in a real Prometheus."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from poolwatch.export.names import NAMES
from tests.launcher import POOLWATCH
from tests.promql import metrics
from tests.servers.base import HOST, Server, answers, folder, program, running, tied

pytestmark = pytest.mark.xdist_group("dashboards")  # one Prometheus and one shop for all

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "dashboards"
DEPLOY = ROOT / "deploy" / "prometheus"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}

PATIENCE = 60
"""Seconds after which what should come is believed to be missing."""
UNSHOWN: dict[str, str] = {}
"""Metrics that are on no dashboard and in no rule, and why."""
EMPTY_WHEN_WELL = {
    "Time to exhaustion", "Sockets without a pool", "Errors of hooks", "Dropped", "Alerts told", "Deploys and restarts"
}  # fmt: skip
"""Panels that have nothing to show where no pool fills up slowly, nobody is told, and poolwatch itself is well."""
OF_THE_AGENT = {"Processes", "Capacity of the database server", "Sessions from elsewhere", "Database server answers"}
"""Panels of what only an agent knows."""
QUIET = ["hotline", "payments", "reports", "returns", "stock", "till"]
"""Pools of the shop where nothing happens any more once their leak is made, so that their numbers can be compared."""
SITES = "Sites"
"""The panel that graphs of pools lead to."""

SHOP = """
import sys, time
from contextlib import ExitStack, suppress
from pathlib import Path
import poolwatch
from poolwatch.demo import leaks
from poolwatch.demo.shop import Shop, open_branch
from poolwatch.demo.stage import Stage
from sqlalchemy.exc import TimeoutError

watch = poolwatch.install(serve=f"127.0.0.1:{sys.argv[1]}", overdue_after=1, idle_in_transaction_after=1, grace=0.2)
stage = Stage(watch, Path.cwd())
def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.05)

with Shop(stage.folder), ExitStack() as scenes:
    wait_for("scraped")
    for scene in (leaks.drop, leaks.keep, leaks.dawdle, leaks.pay, leaks.share_connection):
        scenes.enter_context(scene(stage))
    hotline = open_branch(stage.folder, "hotline", timeout=0.4)
    with hotline.connect(), hotline.connect():
        for before in ("scraped", "scraped again"):  # increase() does not see a counter's first value
            wait_for(before)
            with suppress(TimeoutError):
                hotline.connect()
        engine = open_branch(stage.folder, "desk")
        while True:
            with poolwatch.scope("GET /orders"), engine.connect() as connection:
                connection.execute(leaks.COUNT)
            engine.dispose()  # each request opens a connection
            time.sleep(0.1)
"""
EXPECTED_ALERTS = {"PoolwatchLeakProved", "PoolwatchPoolExhausted", "PoolwatchTimeouts", "PoolwatchCrossing"}


@dataclass(frozen=True)
class Panel:
    """One expression of a dashboard and where it stands."""

    board: str
    title: str
    expression: str
    instant: bool = False

    def __str__(self) -> str:
        return f"{self.board}: {self.title}"


def _panels() -> Iterator[Panel]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Panel(name, panel["title"], target["expr"], target.get("instant", False))
        for annotation in board["annotations"]["list"]:
            yield Panel(name, annotation["name"], annotation["expr"])


PANELS = list(_panels())


def wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"{otherwise} (after {PATIENCE} s)"
        time.sleep(0.2)


class Prometheus:
    """A running Prometheus that scrapes the jobs ``shop`` and ``agent`` at these addresses (HOST:PORT)."""

    def __init__(self, port: int, **jobs: str) -> None:
        self._url = f"http://{HOST}:{port}/api/v1/"
        self.jobs = jobs
        self.when_correct: dict[Panel, list[dict[str, Any]]] = {}
        """What each panel had to show before the shop began to leak."""

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Give the samples that an expression has now; raises HTTPError where Prometheus refuses it."""
        return self._ask("query", "vector", query=expression)

    def ask_range(self, expression: str) -> list[dict[str, Any]]:
        """Give the series that an expression has had in the last minute, as a graph asks for them."""
        now = time.time()
        return self._ask("query_range", "matrix", query=expression, start=now - 60, end=now, step=1)

    def _ask(self, what: str, kind: str, **asked: object) -> list[dict[str, Any]]:
        with urlopen(f"{self._url}{what}?{urlencode(asked)}", timeout=10) as answer:
            told = json.load(answer)
        assert told["status"] == "success"
        assert told["data"]["resultType"] == kind
        return list(told["data"]["result"])

    def sites_of_alerts(self) -> set[tuple[str, str]]:
        """Give the pool and the annotation ``site`` of each alert of the shop that has one."""
        with urlopen(f"{self._url}alerts", timeout=10) as answer:
            alerts = json.load(answer)["data"]["alerts"]
        own = [alert for alert in alerts if alert["labels"]["job"] == "shop" and "site" in alert["annotations"]]
        return {(alert["labels"]["pool"], alert["annotations"]["site"]) for alert in own}

    def report(self) -> dict[str, Any]:
        """Give the shop's own report."""
        with urlopen(f"http://{self.jobs['shop']}/report.json", timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def await_data(self, expression: str, range: bool = False) -> None:
        """Wait until an expression gives something: after a scrape that failed, there is nothing until the next."""
        ask = self.ask_range if range else self.ask
        wait_until(lambda: bool(ask(expression)), f"nothing: {expression}")


@pytest.fixture(scope="module")
def prometheus(postgres: Server) -> Iterator[Prometheus]:
    """Give a Prometheus, as configured in deploy/ but quicker, that has watched a shop leak for some seconds."""
    with ExitStack() as stack:
        place, data = stack.enter_context(folder()), stack.enter_context(folder())
        spool = f"POOLWATCH_DIR={place}/spool"
        shop = ["env", spool, sys.executable, "-W", "ignore", "-c", SHOP]
        agent = ["env", spool, *POOLWATCH, "agent", f"--server={postgres.dsn}"]
        scraper = [program("prometheus"), f"--config.file={data}/prometheus.yml", f"--storage.tsdb.path={data}/tsdb"]

        def start(ready: Callable[[int], bool], folder: Path, *command: str) -> int:
            """Start a command whose last word lacks the port; gives the port."""
            words = [*command[:-1]]
            run = running(lambda port: [*words, f"{command[-1]}{port}"], ready, folder, signal.SIGKILL, tied)
            return stack.enter_context(run)[0]

        jobs = {
            "shop": f"{HOST}:{start(answers, place, *shop, '')}",
            "agent": f"{HOST}:{start(answers, place, *agent, f'--serve={HOST}:')}",
        }
        (data / "prometheus.yml").write_text(_configuration(jobs))
        server = Prometheus(start(_is_ready, data, *scraper, f"--web.listen-address={HOST}:"), **jobs)
        server.await_data('rate(poolwatch_site_checkouts_total{job="shop"}[4s]) > 0')
        server.await_data("poolwatch_server_up == 1")
        server.when_correct = {panel: server.ask(filled(panel.expression)) for panel in PANELS}
        (place / "scraped").touch()
        server.await_data('db_client_connection_timeouts_total{job="shop"} > 0')
        (place / "scraped again").touch()
        for alert in sorted(EXPECTED_ALERTS):
            server.await_data(f'ALERTS{{alertname="{alert}", alertstate="firing", job="shop"}}')
        server.await_data('poolwatch_findings{kind="leak.overdue"} > 0')
        server.await_data("rate(poolwatch_scope_leases_total[4s]) > 0")
        yield server


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{HOST}:{port}/-/ready", timeout=1):
            return True
    except OSError:
        return False


def _configuration(jobs: dict[str, str]) -> str:
    given = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    given["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    given["rule_files"] = [str(DEPLOY / name) for name in given["rule_files"]]
    given["alerting"] = {}
    given["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in jobs.items()
    ]
    return str(yaml.safe_dump(given))


def filled(expression: str, **variables: str) -> str:
    """Give an expression as Grafana sends it: with every variable filled in, "All" where none is given."""
    values = dict.fromkeys(("job", "instance", "pool", "scope"), ".*")
    values |= {"__rate_interval": "4s", "__range": "1m", **variables}
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
    variables = [variable["name"] for variable in board["templating"]["list"]]
    assert variables == ["datasource", "job", "instance", "pool", "scope", "docs"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        defaults = panel["fieldConfig"]["defaults"]
        assert "unit" in defaults or panel["options"]["yAxis"]["unit"] == "s"


@pytest.mark.parametrize("name", BOARDS)
def test_rows_are_filled(name: str) -> None:
    """No panel stands alone beside an empty half, and none lies on another."""
    taken = [panel["gridPos"] for panel in BOARDS[name]["panels"]]
    cells = [(x, y) for p in taken for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells)) == 24 * len({y for _, y in cells})


def _links(board: dict[str, Any]) -> list[tuple[str, str]]:
    """Give the URL of every link of a dashboard's panels, with the panel's title."""
    found = [(panel["title"], link["url"]) for panel in board["panels"] for link in panel.get("links", ())]
    return found + [
        (panel["title"], link["url"])
        for panel in board["panels"]
        for link in panel.get("fieldConfig", {}).get("defaults", {}).get("links", ())
    ]


@pytest.mark.parametrize("name", BOARDS)
def test_links_lead_somewhere(name: str) -> None:
    """Each link of a panel leads to a dashboard, a panel of it, or a page of docs/ that exists."""
    for title, url in _links(BOARDS[name]):
        if url.startswith("${docs}/"):
            assert (ROOT / url.replace("${docs}", "docs")).is_file(), title
            continue
        uid, _, asked = url.removeprefix("/d/").partition("?")
        target = next(board for board in BOARDS.values() if board["uid"] == uid)
        if "viewPanel" in asked:
            seen = re.search(r"viewPanel=(\d+)", asked)
            assert seen is not None
            assert [panel["title"] for panel in target["panels"] if panel["id"] == int(seen[1])] == [SITES]


def test_graphs_of_pools_lead_to_their_sites(prometheus: Prometheus) -> None:
    """Where a line leads to the sites of its pool, it has the labels that the link reads."""
    leading = {
        (name, title): re.findall(r"\$\{__field\.labels\.(\w+)\}", url)
        for name, board in BOARDS.items()
        for title, url in _links(board)
        if "__field" in url
    }
    assert {title for _, title in leading} >= {"Used and idle", "Headroom", "Callers waiting", "Oldest lease"}
    for panel in PANELS:
        for label in leading.get((panel.board, panel.title), ()) if not panel.instant else ():
            series = prometheus.ask_range(filled(panel.expression))
            assert all(label in one["metric"] for one in series if len(series) > 1 or one["metric"]), panel


def test_points_lead_to_traces() -> None:
    """Every graph of a histogram of times asks for exemplars."""
    targets = [target for board in BOARDS.values() for panel in board["panels"] for target in panel.get("targets", ())]
    assert {target["exemplar"] for target in targets if "_time_seconds_bucket" in target["expr"]} == {True}


@pytest.mark.parametrize("name", BOARDS)
def test_units_follow_the_metrics(name: str) -> None:
    """What is asked in seconds is shown in seconds."""
    for panel in BOARDS[name]["panels"]:
        for target in panel.get("targets", ()):
            asked = re.match(r"(max|histogram_quantile)\b.*_seconds", target["expr"]) is not None
            assert not asked or panel["fieldConfig"]["defaults"]["unit"] == "s", panel["title"]


@pytest.mark.parametrize("panel", PANELS, ids=str)
def test_expressions_run(panel: Panel, prometheus: Prometheus) -> None:
    """Each expression is accepted by a real Prometheus, and has data where a shop leaks, whatever is chosen."""
    ask = prometheus.ask if panel.instant else prometheus.ask_range
    job = "agent" if panel.title in OF_THE_AGENT else "shop"
    pools = "|".join([*QUIET, "desk", "shop", "web"])
    chosen: list[dict[str, str]] = [
        {}, {"job": job}, {"instance": prometheus.jobs[job]}, {"pool": pools}, {"scope": "GET /orders"}
    ]  # fmt: skip
    everything = {name: value for variables in chosen for name, value in variables.items()}
    for variables in (*chosen, everything):
        if panel.title in EMPTY_WHEN_WELL:
            ask(filled(panel.expression, **variables))
        else:
            prometheus.await_data(filled(panel.expression, **variables), range=not panel.instant)
    for variable in ("job", "instance"):
        assert not ask(filled(panel.expression, **{variable: "nobody"})) or panel.title == "First pool dry in"


@pytest.mark.parametrize("name", BOARDS)
def test_variables_have_values(name: str, prometheus: Prometheus) -> None:
    """Each variable has something to choose from."""
    for variable in BOARDS[name]["templating"]["list"][1:-1]:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert asked is not None
        prometheus.await_data(f"count by ({asked[2]}) ({filled(asked[1])})")


def test_only_expected_alerts_fire(prometheus: Prometheus) -> None:
    """The shop's leaks make the alerts that they should, and no others."""

    def firing() -> set[str]:
        return {sample["metric"]["alertname"] for sample in prometheus.ask('ALERTS{alertstate="firing"}')}

    wait_until(lambda: firing() >= EXPECTED_ALERTS, "not all alerts fire")
    assert firing() <= EXPECTED_ALERTS


def test_alerts_name_the_line_that_holds(prometheus: Prometheus) -> None:
    """Of a pool whose connections do not come back, the alert says which line has them, and how many."""
    held = {
        (pool, f"most leases out now: {site} ({many:g})")
        for (pool, site), many in _by_site(prometheus.report()).items()
    }
    alarming = {pool for pool, _ in prometheus.sites_of_alerts()}
    wanted = {(pool, site) for pool, site in held if pool in alarming}
    assert wanted
    wait_until(lambda: wanted <= prometheus.sites_of_alerts(), f"not named: {wanted}")


def test_a_correct_shop_shows_no_finding(prometheus: Prometheus) -> None:
    """Before the leaks began there was traffic in every graph of use, and nothing open, late or alarming."""
    told = {panel: prometheus.when_correct[panel] for panel in PANELS}
    about_faults = ("poolwatch_findings", "ALERTS", "timeouts_total", "clamp_max")
    for panel, samples in told.items():
        if any(word in panel.expression for word in about_faults):
            assert {float(sample["value"][1]) for sample in samples} <= {0.0, 604800.0}, panel
    for title in ("Used and idle", "Use time", "Wait time", "Connections held by site", "Leases by owner", "Headroom"):
        assert all(samples for panel, samples in told.items() if panel.title == title), title


Told = dict[tuple[str, ...], float]
"""Values by their labels."""


def _pools(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [pool for pool in report["pools"] if pool["name"] in QUIET]


def _of_pools(value: Callable[[dict[str, Any]], float]) -> Callable[[dict[str, Any]], Told]:
    return lambda report: {(pool["name"],): value(pool) for pool in _pools(report)}


def _open(report: dict[str, Any], *fields: str, **only: str) -> Told:
    """Count the open findings by some of their fields."""
    found = [f for f in report["findings"] if f["state"] == "open" and f["pool"] in QUIET]
    chosen = [f for f in found if all(f[field] == value for field, value in only.items())]
    return dict(Counter(tuple(f[field] for field in fields) for f in chosen))


def _so_far(report: dict[str, Any]) -> Told:
    sums: Counter[tuple[str, ...]] = Counter()
    for total in report["findings_total"]:
        if total["pool"] in QUIET:
            sums[total["kind"], total["grade"]] += total["count"]
    return dict(sums)


def _by_owner(report: dict[str, Any]) -> Told:
    owners = ("thread", "task", "greenlet")
    return {(kind,): sum(p["leases_by_owner"].get(kind, 0) for p in _pools(report)) for kind in owners}


def _by_site(report: dict[str, Any]) -> Told:
    out: Counter[tuple[str, ...]] = Counter()
    for total in report["sites"]:
        if total["pool"] in QUIET and total["leases"]:
            place = total["site"]
            out[total["pool"], f"{place['file']}:{place['line']} {place['function']}"] += total["leases"]
    return dict(out)


LABEL = "db_client_connection_pool_name"
COMPARED: dict[tuple[str, int], tuple[tuple[str, ...], Callable[[dict[str, Any]], Told]]] = {
    ("Used and idle", 0): ((LABEL,), _of_pools(lambda pool: pool["used"])),
    ("Used and idle", 1): ((LABEL,), _of_pools(lambda pool: pool["idle"])),
    ("Part of the limit", 0): ((LABEL,), _of_pools(lambda pool: pool["used"] / pool["limits"]["max"])),
    ("Headroom", 0): ((LABEL,), _of_pools(lambda pool: pool["limits"]["max"] - pool["used"])),
    ("Limits", 0): ((LABEL,), _of_pools(lambda pool: pool["limits"]["max"])),
    ("Limits", 1): ((LABEL,), _of_pools(lambda pool: pool["limits"]["size"])),
    ("Callers waiting", 1): ((LABEL,), _of_pools(lambda pool: pool["waiting"])),
    ("Fullest pool", 0): ((), lambda report: {(): max(p["used"] / p["limits"]["max"] for p in _pools(report))}),
    ("Proved", 0): ((), lambda report: _open(report, grade="proved")),
    ("Probable", 0): ((), lambda report: _open(report, grade="probable")),
    ("Suspected", 0): ((), lambda report: _open(report, grade="suspected")),
    ("Open findings", 0): (("kind", "grade"), lambda report: _open(report, "kind", "grade")),
    ("Open now", 0): (("kind", "grade", "pool"), lambda report: _open(report, "kind", "grade", "pool")),
    ("Findings so far", 0): (("kind", "grade"), _so_far),
    ("Leases by owner", 0): (("owner",), _by_owner),
    ("Leases out now by line", 0): (("pool", "site"), _by_site),
    ("Leases by instance", 0): ((), lambda report: {(): sum(p["used"] for p in _pools(report))}),
}
"""Panels, and which of their expressions: the labels and what the report says of them."""


@pytest.mark.parametrize("which", COMPARED, ids=str)
def test_panels_say_what_the_report_says(which: tuple[str, int], prometheus: Prometheus) -> None:
    """What a panel shows of the pools that are quiet is what the shop's own report says of them."""
    title, place = which
    labels, expected = COMPARED[which]
    panel = [panel for panel in PANELS if panel.title == title][place]

    def shown() -> Told:
        samples = prometheus.ask(filled(panel.expression, job="shop", pool="|".join(QUIET)))
        return {tuple(s["metric"][label] for label in labels): float(s["value"][1]) for s in samples}

    told = expected(prometheus.report())
    assert told, "nothing is compared"
    wait_until(lambda: shown() == told, f"{shown()} is shown, {told} is in the report")  # at the next scrape


def test_the_oldest_lease_is_that_of_the_report(prometheus: Prometheus) -> None:
    """The age that is shown is the report's, as far as the clock stands still."""
    panel = next(panel for panel in PANELS if panel.title == "Oldest lease" and "max by" in panel.expression)
    prometheus.await_data(filled(panel.expression, job="shop"))
    ages = {s["metric"]["pool"]: float(s["value"][1]) for s in prometheus.ask(filled(panel.expression, job="shop"))}
    told = {pool["name"]: pool["oldest_lease_seconds"] for pool in _pools(prometheus.report())}
    assert {pool: ages[pool] for pool in told} == pytest.approx(told, abs=5)


def test_time_to_exhaustion_follows_the_floor(tmp_path: Path) -> None:
    """A floor that rises by one in a quarter of an hour, with three left, has three quarters; a busy pool is absent."""
    name = 'job="shop", instance="shop-1", db_client_connection_pool_name'
    used = f'db_client_connection_count{{db_client_connection_state="used", {name}="%s"}}'
    case = {
        "interval": "15m",
        "input_series": [
            {"series": used % "leaking", "values": "0+1x8"},
            {"series": used % "busy", "values": "1 9 1 9 9 1 9 1 9"},
            {"series": f'db_client_connection_max{{{name}="leaking"}}', "values": "10x8"},
            {"series": f'db_client_connection_max{{{name}="busy"}}', "values": "10x8"},
        ],
        "promql_expr_test": [
            {
                "expr": filled(next(panel.expression for panel in PANELS if panel.title == "Time to exhaustion")),
                "eval_time": "2h",
                "exp_samples": [
                    {"labels": '{instance="shop-1", db_client_connection_pool_name="leaking"}', "value": 2700}
                ],
            }
        ],
    }  # fmt: skip
    (tmp_path / "dry.yml").write_text(yaml.safe_dump({"tests": [case]}))
    done = subprocess.run(["promtool", "test", "rules", "dry.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
