"""Flask on gunicorn: a scoped session that is removed, a transaction, and a stream, all given back."""

import os
from collections.abc import Iterator

from flask import Flask, Response
from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["LOAD_URL"], pool_size=20)
Session = scoped_session(sessionmaker(engine))
app = Flask(__name__)


@app.teardown_appcontext
def remove(error: BaseException | None) -> None:
    Session.remove()


@app.get("/ready")
def ready() -> str:
    return "ready"


@app.get("/orders/<int:id>")
def order(id: int) -> str:
    return str(Session.execute(text("select 1")).scalar_one())


@app.post("/bills/<int:number>")
def bill(number: int) -> str:
    with engine.begin() as connection:
        connection.execute(text("select :number"), {"number": number})
    return str(Session.execute(text("select 1")).scalar_one())


@app.get("/export/<int:number>")
def export(number: int) -> Response:
    def rows() -> Iterator[str]:
        with engine.connect() as connection:
            yield from map(str, connection.execute(text("select 1")).scalars())

    return Response(rows())
