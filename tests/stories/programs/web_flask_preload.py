"""gunicorn --preload: the application reads its settings while it is loaded; each forked worker uses that socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from flask import Flask
from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], pool_size=3)
app = Flask(__name__)


def read() -> int:
    with engine.connect() as connection:  # <- site
        return connection.execute(text("select 1")).scalar_one()


settings = read()


@app.get("/orders/<int:id>")
def order(id: int) -> dict[str, int]:
    return {"worker": os.getpid(), "read": read()}


def ask(url: str) -> int:
    answer = json.load(urlopen(url, timeout=20))
    assert answer["read"] == settings
    return answer["worker"]


def serve(program: str) -> None:
    command = ["-m", "gunicorn", "-b", "127.0.0.1:0", "-w", "2", "--preload", "--chdir", str(Path(__file__).parent)]
    log = Path("gunicorn.log")
    server = subprocess.Popen([sys.executable, *command, f"{program}:app"], stderr=log.open("w"))
    while not (said := log.read_text().partition("Listening at: ")[2].split()):
        time.sleep(0.05)
    workers: set[int] = set()
    while len(workers) < 2:
        workers.add(ask(f"{said[0]}/orders/{len(workers)}"))
    server.terminate()
    server.wait()


if __name__ == "__main__":
    serve("web_flask_preload")
    print("done")
