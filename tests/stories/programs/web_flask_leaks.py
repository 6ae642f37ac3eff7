"""One leak in a handler and one in a streaming body of a Flask application, on three kinds of gunicorn workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
from flask import Flask, Response
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
app = Flask(__name__)
FORGOTTEN: list[Connection] = []


@app.get("/orders/<int:id>")
def order(id: int) -> str:
    connection = engine.connect()  # <- handler
    FORGOTTEN.append(connection)
    return str(connection.execute(text("select 1")).scalar_one())


@app.get("/export")
def export() -> Response:
    def rows():
        connection = engine.connect()  # <- body
        FORGOTTEN.append(connection)
        yield str(connection.execute(text("select 1")).scalar_one())

    return Response(rows())


def serve(*options: str) -> None:
    command = ["-m", "gunicorn", "-b", "127.0.0.1:0", "--chdir", str(Path(__file__).parent), *options]
    log = open(f"{options[1]}.log", "w+")
    server = subprocess.Popen([sys.executable, *command, "web_flask_leaks:app"], stderr=log)
    while "Listening at: " not in Path(log.name).read_text():
        time.sleep(0.1)
    base = Path(log.name).read_text().partition("Listening at: ")[2].split()[0]
    with httpx.Client(base_url=base, timeout=20) as client:
        assert [client.get(path).text for path in ("/orders/1", "/orders/2", "/export")] == ["1"] * 3
    time.sleep(1.8)
    server.terminate()
    server.wait()


if __name__ == "__main__":
    for worker in ("sync", "gthread", "gevent"):
        serve("-k", worker)
    print("done")
