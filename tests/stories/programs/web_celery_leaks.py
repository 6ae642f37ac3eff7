"""A Celery task that keeps its connection, in a prefork worker and in one with threads."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from celery import Celery
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import QueuePool

os.makedirs("queue", exist_ok=True)
app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
FORGOTTEN: list[Connection] = []


@app.task(name="shop.ship")
def ship(number: int) -> None:
    connection = engine.connect()  # <- site
    FORGOTTEN.append(connection)
    connection.execute(text("select 1"))
    Path(f"shipped-{number}").touch()


def work(number: int, *options: str) -> None:
    command = ["-m", "celery", "-A", "web_celery_leaks", "worker", "-c", "1", "-l", "ERROR", *options]
    folder = str(Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}
    worker = subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.DEVNULL)
    ship.delay(number)
    while not Path(f"shipped-{number}").exists():
        time.sleep(0.1)
    time.sleep(1.8)
    worker.terminate()
    worker.wait()


if __name__ == "__main__":
    work(1, "-P", "prefork")
    work(2, "-P", "threads")
    print("done")
