"""A worker process is killed while it holds a connection."""

from __future__ import annotations

import os
import signal
import time

from sqlalchemy import create_engine, text

holds, told = os.pipe()
child = os.fork()
if child == 0:
    engine = create_engine(os.environ["STORY_URL"])
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    os.write(told, b"!")
    time.sleep(30)
    connection.close()
    os._exit(0)
os.read(holds, 1)
time.sleep(0.8)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("done")
