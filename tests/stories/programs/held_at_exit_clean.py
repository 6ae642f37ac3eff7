"""The program closes the connection it opened at its top, in an atexit function."""

from __future__ import annotations

import atexit
import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
connection = engine.connect()
atexit.register(connection.close)
connection.execute(text("select 1")).all()
print("done")
