"""``poolwatch.SpoolCollector``: the same numbers for those who serve ``/metrics`` themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import poolwatch
from poolwatch.errors import ConfigError
from poolwatch.report.spool import Spool
from tests.launcher import environment, script
from tests.reports import lease, report


def test_many_collectors_agree(tmp_path: Path) -> None:
    """Each of several collectors gives the sums over the dead, once."""
    for pid in (2**22 + 1, 2**22 + 2):
        Spool(str(tmp_path)).write(report(leases=(lease(),), pid=pid, ended=None))
    texts = []
    for _ in range(3):
        registry = CollectorRegistry()
        registry.register(poolwatch.SpoolCollector(str(tmp_path)))
        texts.append(generate_latest(registry).decode())
    assert texts[0] == texts[1] == texts[2]
    assert 'db_client_connection_use_time_seconds_count{db_client_connection_pool_name="shop"} 4.0' in texts[0]
    assert 'poolwatch_findings_total{grade="proved",kind="leak.process_ended",pool="shop"} 2.0' in texts[0]


def test_beside_multiprocess_mode(tmp_path: Path) -> None:
    """The host's own counters in multiprocess mode and poolwatch's numbers are in one answer."""
    (tmp_path / "host").mkdir()
    source = """
    import poolwatch
    poolwatch.install(interval=0.05)
    import time
    from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess
    from sqlalchemy import create_engine
    orders = Counter("orders", "Orders.")
    orders.inc(3)
    engine = create_engine("sqlite:///shop.db")
    with engine.connect():
        pass
    time.sleep(0.5)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    registry.register(poolwatch.SpoolCollector())
    print(generate_latest(registry).decode())
    """
    variables = {"POOLWATCH_DIR": str(tmp_path / "spool"), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "host")}
    words = [sys.executable, script(tmp_path, source)]
    done = subprocess.run(words, cwd=tmp_path, env=environment(**variables), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "orders_total 3.0" in done.stdout
    assert 'db_client_connection_use_time_seconds_count{db_client_connection_pool_name="sqlite/' in done.stdout
    assert 'poolwatch_process_leases{process="0"} 0.0' in done.stdout


def test_imported_only_on_demand() -> None:
    """Importing poolwatch brings neither prometheus_client nor psutil along; the collector does."""
    source = """if 1:
        import sys, poolwatch
        assert not {"prometheus_client", "psutil"} & sys.modules.keys()
        poolwatch.SpoolCollector
        assert "prometheus_client" in sys.modules
    """
    assert subprocess.run([sys.executable, "-c", source], env=environment()).returncode == 0


def test_needs_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder, and without the variable for it, there is nothing to collect."""
    monkeypatch.delenv("POOLWATCH_DIR", raising=False)
    with pytest.raises(ConfigError, match="POOLWATCH_DIR"):
        poolwatch.SpoolCollector()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A folder that has not come yet gives no metrics, and fails nobody's scrape."""
    collector = poolwatch.SpoolCollector(str(tmp_path / "later"))
    assert collector.collect() == []
    assert collector.failed == 1
