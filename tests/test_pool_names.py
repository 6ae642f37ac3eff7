"""A pool is called after its database, as far as anybody knows it, and never after a secret."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

import poolwatch

ODBC = "Driver%3DFreeTDS%3BServer%3D10.0.0.5%3Bport%3D1433%3BUID%3Dsa%3BPWD%3D%7Bserver%3Dx%7D%3BDatabase%3Dshop"


@pytest.mark.parametrize(
    ("url", "options", "name"),
    [
        ("sqlite://", {}, "sqlite/:memory:"),
        ("sqlite:////srv/shop.db", {}, "sqlite//srv/shop.db"),
        ("sqlite://", {"creator": lambda: sqlite3.connect(":memory:")}, "sqlite"),
        ("postgresql+psycopg://app:secret@db:5433/shop", {}, "db:5433/shop"),
        ("postgresql+psycopg:///shop", {}, "postgresql/shop"),
        (f"mssql+pyodbc:///?odbc_connect={ODBC}", {}, "mssql/10.0.0.5/shop"),
        ("mssql+pyodbc://sa:secret@warehouse", {}, "warehouse/"),
        ("sqlite://", {"logging_name": "orders"}, "orders"),
    ],
)
def test_name(url: str, options: dict[str, Any], name: str, tmp_path: Path) -> None:
    """An engine's pool has its name from the moment it is made."""
    watch = poolwatch.install(interval=60)
    try:
        engine = create_engine(url, **options)
        assert list(watch.ledger.pools.values())[-1].base == name
        engine.dispose()
    finally:
        watch.uninstall()
