"""The program leaves through os._exit, past every exit function, with a connection out."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
connection = engine.connect()  # <- site
connection.execute(text("select 1")).all()
print("done", flush=True)
time.sleep(0.8)
os._exit(0)
