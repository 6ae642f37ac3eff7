"""SQLAlchemy's own tests of its pools, from its source distribution; ``make upstream`` runs all that touch a pool."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

RUN = Path(__file__).parent / "upstream" / "run.sh"
NOT_TO_BE_HAD = 3


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_pools_behave_as_without() -> None:
    """Each test has the same outcome under poolwatch, which saw the leases and has no error in a hook."""
    chosen = {"PYTHON": sys.executable, "TESTS": "test/engine/test_pool.py", "DATABASES": "sqlite"}
    words = ["bash", RUN, sqlalchemy.__version__]
    done = subprocess.run(words, env=os.environ | chosen, capture_output=True, text=True, check=False)
    if done.returncode == NOT_TO_BE_HAD:
        pytest.skip(f"the source distribution of SQLAlchemy cannot be had here: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "with it 0 outcomes differ" in done.stdout
    assert "errors in its hooks: none" in done.stdout
