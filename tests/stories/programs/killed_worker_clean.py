"""A worker process is killed while it holds nothing."""

from __future__ import annotations

import os
import signal
import time

from sqlalchemy import create_engine, text

idles, told = os.pipe()
child = os.fork()
if child == 0:
    engine = create_engine(os.environ["STORY_URL"])
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
    os.write(told, b"!")
    time.sleep(30)
    os._exit(0)
os.read(idles, 1)
time.sleep(0.8)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("done")
