"""Celery, prefork, behind Flask on gunicorn: ``python shop_celery.py PORT`` runs both until it is terminated."""

import os
import signal
import subprocess
import sys
import threading
import time

from celery import Celery
from flask import Flask
from sqlalchemy import create_engine, text

MOST_WAITING = 20
"""Jobs in the queue until the front makes its clients wait: the filesystem broker lists all of them for each one."""
one_at_a_time = threading.Lock()
engine = create_engine(os.environ["LOAD_URL"])
jobs = Celery("shop", broker="filesystem://")
jobs.conf.broker_transport_options = {
    "data_folder_in": "queue",
    "data_folder_out": "written",
    "control_folder": "control",
}
app = Flask(__name__)


@jobs.task(name="shop.ship")
def ship(number: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("insert into shipped values (:number)"), {"number": number})


@app.get("/ready")
def ready() -> str:
    return "ready"


@app.post("/jobs/<int:number>")
def job(number: int) -> str:
    while len(os.listdir("queue")) > MOST_WAITING:
        time.sleep(0.01)
    with one_at_a_time:
        ship.delay(number)
        for name in os.listdir("written"):  # the filesystem broker would read what is half written
            os.rename(f"written/{name}", f"queue/{name}")
    return "1"


@app.get("/shipped")
def shipped() -> str:
    with engine.connect() as connection:
        return str(connection.execute(text("select count(distinct number) from shipped")).scalar_one())


def main(port: str) -> None:
    for folder in ("queue", "written"):
        os.makedirs(folder, exist_ok=True)
    with engine.begin() as connection:
        connection.execute(text("drop table if exists shipped"))
        connection.execute(text("create table shipped (number integer)"))
    engine.dispose()
    front = ["gunicorn", "-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "8", "shop_celery:app"]
    worker = ["celery", "-A", "shop_celery:jobs", "worker", "-c", "3", "-l", "FATAL", "-P", "prefork"]
    started = [subprocess.Popen([sys.executable, "-m", *command]) for command in (front, worker)]
    signal.signal(signal.SIGTERM, lambda *_: [process.terminate() for process in started])
    for process in started:
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1])
