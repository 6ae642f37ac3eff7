"""Celery tasks that give everything back, also where they fail and are tried again; prefork and gevent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from celery import Celery
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

os.makedirs("queue", exist_ok=True)
app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)


@app.task(bind=True, name="shop.ship", default_retry_delay=0.1)
def ship(self, number: str) -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        if self.request.retries == 0:
            self.retry()
        Path(f"shipped-{number}").touch()


def work(pool: str, count: int) -> None:
    command = ["-m", "celery", "-A", "web_celery_clean", "worker", "-c", "3", "-l", "FATAL", "-P", pool]
    folder = str(Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}
    worker = subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.DEVNULL)
    for number in range(count):
        ship.delay(f"{pool}-{number}")
    while len(list(Path().glob(f"shipped-{pool}-*"))) < count:
        time.sleep(0.1)
    time.sleep(1.2)
    worker.terminate()
    worker.wait()


if __name__ == "__main__":
    for pool in ("prefork", "gevent"):
        work(pool, 10)
    print("done")
