"""For many services: the formula of series is what agents give, and the page says the same as the code."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bench import series, spools
from bench.series import Shape
from poolwatch.export import hosts
from poolwatch.export.names import NAMES
from poolwatch.export.numbers import MAX_SITES
from poolwatch.export.prometheus import families
from poolwatch.export.scopes import MAX_SCOPES
from tests.launcher import start

SERVICES = (*range(20), 99)
"""The last is beyond the limits."""
PAGE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()


@pytest.fixture(scope="module")
def fleet() -> spools.Fleet:
    """Give what was counted over some services, of all sorts."""
    *_, last = spools.scraped(SERVICES, instances=1)
    return last


def test_series_are_those_of_the_formula(fleet: spools.Fleet) -> None:
    """Every instance of every service gives exactly as many series as its shape says."""
    assert fleet.wrong == []
    assert fleet.series == sum(series.total(spools.shape_of(number)) for number in SERVICES)


def test_fleet_has_all_sorts(fleet: spools.Fleet) -> None:
    """Among the services are those with findings, with several pools, and beyond each limit."""
    shapes = [spools.shape_of(number) for number in SERVICES]
    assert {shape.pools for shape in shapes} == {1, 2, 3}
    assert {shape.findings for shape in shapes} == {0, 1, 3}
    assert max(shape.sites for shape in shapes) > MAX_SITES + 3
    assert max(shape.scopes for shape in shapes) > MAX_SCOPES + 1
    assert fleet.processes == sum(shape.processes for shape in shapes)


def test_a_wrong_formula_is_seen() -> None:
    """An instance with one series more than its shape says is told by name."""
    fleet = spools.Fleet()
    body = b"# HELP x y\n" + b"x 1\n" * (series.total(Shape()) + 1)
    fleet.add("one", Shape(), body, 0.0)
    assert fleet.wrong == [f"one: {series.total(Shape()) + 1} instead of {series.total(Shape())}"]


def test_the_command_gives_the_same(tmp_path: Path) -> None:
    """`poolwatch agent` itself, over HTTP, gives as many series as the formula says."""
    shape = Shape(pools=2, processes=3, sites=7, scopes=5, findings=1)
    with spools.living(3) as pids:
        spools.write(tmp_path / "spool", shape, pids)
        with start("agent", "--serve", "127.0.0.1:0", "--dir", tmp_path / "spool", cwd=tmp_path) as agent:
            assert agent.stderr is not None
            url = re.search(r"http://\S+", agent.stderr.readline())
            assert url is not None
            with urllib.request.urlopen(f"{url[0]}metrics", timeout=20) as answer:
                assert spools.count(answer.read()) == series.total(shape)
            agent.kill()


def test_every_metric_is_in_the_formula() -> None:
    """Each metric has series where there is one of everything, and none but the agent's own where there is nothing."""
    one_of_all = Shape(1, 1, 1, 1, 1, 1, 1, 1)
    assert [name.prometheus for name in NAMES if series.of(name, one_of_all) < 1] == []
    assert series.total(replace(Shape(), builds=0)) == 1 + len(hosts.STATES)


def test_servers_sinks_and_losses() -> None:
    """What the fleet has none of has as many series as the formula says, too."""
    shape = Shape(pools=1, processes=1, sites=2, scopes=2, findings=1, servers=2, sinks=3, losses=1)
    facts = {"error": None, "max_connections": 100, "connections": 7, "sessions_elsewhere": 0, "pool_limit": 15}
    report = spools.snapshot(shape, 1).to_json()
    report["servers"] = [{"name": f"db-{number}", **facts} for number in range(shape.servers)]
    assert sum(len(family.samples) for family in families(report)) == series.total(shape)


def test_page_says_what_the_code_says() -> None:
    """The page's table and formula are those of the code."""
    assert series.table() in PAGE
    each = [
        series.total(shape) - series.total(Shape())
        for shape in (Shape(1), Shape(0, 1), Shape(0, 0, 1), Shape(0, 0, 0, 1))
    ]
    pool, process, site, scope = each
    assert f"{series.total(Shape())} + {pool} *P* + *N* + {site} *S* + {scope} *C* series" in PAGE
    assert process == 1


BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if "receivers:" not in block], ids=lambda block: block.split(":")[0]
)
def test_prometheus_takes_the_examples(block: str, tmp_path: Path) -> None:
    """Each piece of configuration on the page is accepted by promtool."""
    (tmp_path / "token").write_text("x" * 16)
    (tmp_path / "prometheus.yml").write_text(block.replace("/etc/poolwatch/token", str(tmp_path / "token")))
    done = subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_collector_example_is_whole() -> None:
    """The collector's configuration on the page uses what it configures."""
    (block,) = (yaml.safe_load(block) for block in BLOCKS if "receivers:" in block)
    for kind in ("receivers", "processors", "exporters"):
        assert {name for one in block["service"]["pipelines"].values() for name in one[kind]} == set(block[kind])
