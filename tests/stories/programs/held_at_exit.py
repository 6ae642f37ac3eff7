"""The program ends without closing the connection it opened at its top."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
connection = engine.connect()  # <- site
connection.execute(text("select 1")).all()
print("done")
