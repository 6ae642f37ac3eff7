"""What an operator sees: a healthy shop, a mistake, the alert, the cure."""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.rehearsal.services import PATIENCE, Service

Services = dict[str, Service]
LEAKS = 'sum(poolwatch_findings{job="shop", kind="leak.scope_ended"})'
HELD = 'sum(poolwatch_site_leases{job="shop", site=~".+ forget"})'
FIRING = 'ALERTS{alertname="PoolwatchLeakProved", alertstate="firing"}'


def tell(services: Services, full: bool) -> None:
    """Check what is seen at each step, and say so; raises AssertionError."""
    _only_with_the_token()
    _until("the shop's pool is scraped and busy", lambda: _ask("sum(rate(poolwatch_site_checkouts_total[30s]))") > 0)
    assert _ask("sum(poolwatch_findings)") == 0, "a finding without a mistake"
    assert _ask('count(up{job="shop"} == 1)') == 1
    _until("the agent asks the database", lambda: _ask("poolwatch_server_pool_limit") == 10)
    for span in ("GET /orders/{customer}", "lease database:5432/shop"):
        _until(f"the collector has a span {span!r}", lambda span=span: span in services["collector"].written())
    _send("PUT", "http://app:8000/mistakes/forget")
    _send("GET", "http://app:8000/orders/20")  # the customers would come to it, some time
    _until("the leak is found", lambda: _ask(LEAKS) > 0)
    _until("the alert fires", lambda: _ask(FIRING) > 0)
    _until("Alertmanager has it", lambda: "PoolwatchLeakProved" in _alerts())
    _until("the alert names the line", lambda: any("forget (" in site for site in _sites()))
    if full:
        _until("somebody is told", lambda: "pager firing: Pool" in services["pager"].written(), 90)
    _send("DELETE", "http://app:8000/mistakes/forget")
    _until("the leak is resolved", lambda: _ask(LEAKS) == 0)
    _until("the line holds nothing", lambda: _ask(HELD) == 0)
    if full:
        _make_the_other_mistakes()
        _until("the pager is told of it", lambda: "pager resolved: Pool" in services["pager"].written(), 600)


def _make_the_other_mistakes() -> None:
    for name, kind in (("drop", "leak.collected"), ("dawdle", "hold.idle_in_transaction")):
        _send("PUT", f"http://app:8000/mistakes/{name}")
        _until(f"{name} is {kind}", lambda kind=kind: _ask(f'sum(poolwatch_findings_total{{kind="{kind}"}})') > 0)
        _send("DELETE", f"http://app:8000/mistakes/{name}")


def _only_with_the_token() -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        _get("http://agent:9187/metrics")
    refused.value.close()
    token = Path("/run/secrets/poolwatch-token").read_text().strip()
    assert "poolwatch_build_info" in _get("http://agent:9187/metrics", {"Authorization": f"Bearer {token}"})
    print("the agent answers only with the token", flush=True)


def _until(what: str, true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what}; {_targets()}"
        time.sleep(0.2)
    print(f"{what} (after {time.monotonic() - began:.1f} s)", flush=True)


def _ask(expression: str) -> float:
    """Give the one number of an expression, 0 where there is none."""
    told = json.loads(_get(f"http://prometheus:9090/api/v1/query?{urlencode({'query': expression})}"))
    found = told["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _targets() -> str:
    """Say what Prometheus scrapes, and with what success."""
    found = json.loads(_get("http://prometheus:9090/api/v1/targets"))["data"]["activeTargets"]
    return ", ".join(f"{target['scrapeUrl']} is {target['health']} {target['lastError']}" for target in found)


def _alerts() -> set[str]:
    listed: list[dict[str, Any]] = json.loads(_get("http://alertmanager:9093/api/v2/alerts"))
    return {alert["labels"]["alertname"] for alert in listed}


def _sites() -> list[str]:
    """Give the lines of the application that Prometheus' alerts name."""
    told = json.loads(_get("http://prometheus:9090/api/v1/alerts"))["data"]["alerts"]
    return [alert["annotations"]["site"] for alert in told if "site" in alert["annotations"]]


def _get(url: str, headers: dict[str, str] | None = None) -> str:
    with urlopen(Request(url, headers=headers or {}), timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def _send(method: str, url: str) -> None:
    with urlopen(Request(url, method=method), timeout=10):
        print(f"{method} {url}", flush=True)
