"""A Flask application that gives everything back, on three kinds of gunicorn workers, with clients that go away."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from flask import Flask, Response
from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=30)
Session = scoped_session(sessionmaker(engine))
app = Flask(__name__)
app.teardown_appcontext(lambda error: Session.remove())


@app.get("/orders/<int:id>")
def order(id):
    return str(Session.execute(text("select 1")).scalar_one())


@app.get("/export")
def export():
    def rows():
        with engine.connect() as connection:
            for number in range(2000):
                yield f"{connection.execute(text('select 1')).scalar_one()} {number} {'.' * 500}\n"

    return Response(rows())


def ask(client, n):
    if n % 10:
        return client.get(f"/orders/{n}").text
    with client.stream("GET", "/export") as answer:
        return next(answer.iter_text())[0]  # and goes away


def serve(*options):
    command = ["-b", "127.0.0.1:0", "--chdir", os.path.dirname(__file__), *options, "web_flask_clean:app"]
    log = Path(f"{options[1]}.log")
    server = subprocess.Popen([sys.executable, "-m", "gunicorn", *command], stderr=log.open("w"))
    while not (said := log.read_text().partition("Listening at: ")[2].split()):
        time.sleep(0.1)
    with httpx.Client(base_url=said[0], timeout=20) as client, ThreadPoolExecutor(6) as clients:
        assert set(clients.map(lambda n: ask(client, n), range(120))) == {"1"}
    time.sleep(1.2)
    server.terminate()
    server.wait()


if __name__ == "__main__":
    for options in ("-k sync -w 2", "-k gthread --threads 4", "-k gevent"):
        serve(*options.split())
    print("done")
