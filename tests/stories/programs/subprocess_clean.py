"""A Python subprocess does its own correct work and ends before its parent."""

from __future__ import annotations

import os
import subprocess
import sys

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
if len(sys.argv) == 1:
    with engine.begin() as connection:
        subprocess.run([sys.executable, __file__, "child"], check=True)
        connection.execute(text("select 1")).all()
    print("done")
