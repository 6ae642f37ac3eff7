"""A Python subprocess is killed while it holds a connection."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from sqlalchemy import create_engine, text

if len(sys.argv) > 1:
    engine = create_engine(os.environ["STORY_URL"])
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()
        print("holding", flush=True)
        time.sleep(30)
else:
    worker = subprocess.Popen([sys.executable, __file__, "worker"], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    worker.stdout.readline()
    time.sleep(0.8)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    print("done")
