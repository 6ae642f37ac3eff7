"""Where and with what a run was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import datetime, timezone
from pathlib import Path

LIBRARIES = (
    "SQLAlchemy", "greenlet", "aiosqlite", "psycopg", "psycopg-pool", "asyncpg", "gql", "starlette", "Flask",
    "prometheus-client", "opentelemetry-sdk", "opentelemetry-instrumentation-sqlalchemy",
)  # fmt: skip


def cpu() -> str:
    """Give the CPU model and the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_model()}, {cores} cores"


def _model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


def kernel() -> str:
    """Give the kernel's name and release."""
    return f"{platform.system()} {platform.release()}"


def versions() -> str:
    """Give Python and the libraries of this interpreter with their versions."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return ", ".join([python, *(f"{name} {version}" for name in LIBRARIES if (version := _version(name)))])


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def today() -> str:
    """Give the date, UTC."""
    return datetime.now(timezone.utc).date().isoformat()
