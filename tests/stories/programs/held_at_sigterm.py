"""The program is ended by SIGTERM while it holds a connection."""

from __future__ import annotations

import os
import signal
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
connection = engine.connect()  # <- site
connection.execute(text("select 1")).all()
print("done", flush=True)
time.sleep(0.8)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(30)
