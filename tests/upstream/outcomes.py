"""A pytest plugin: writes the outcome of every phase of every test, for ``compare.py``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the outcome of one phase; an expected failure is one of its own."""
    expected = " (expected to fail)" if hasattr(report, "wasxfail") else ""
    _outcomes[f"{report.nodeid} {report.when}"] = report.outcome + expected


def pytest_unconfigure() -> None:
    """Write all outcomes."""
    Path(os.environ["POOLWATCH_UPSTREAM_OUTCOMES"]).write_text(json.dumps(_outcomes, indent=0, sort_keys=True))
