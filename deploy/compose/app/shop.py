"""A small shop on FastAPI and PostgreSQL. It is correct until somebody switches a mistake on.

    GET    /orders/{customer}   what a customer has ordered
    POST   /orders/{customer}   order something
    GET    /mistakes            the mistakes there are, and which are made now
    PUT    /mistakes/{name}     make this mistake from now on
    DELETE /mistakes/{name}     make it no more; what it has kept is given back

It knows nothing of poolwatch.
"""

from __future__ import annotations

import os
import random
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import mistakes
import tracing
from fastapi import FastAPI, HTTPException
from sqlalchemy import URL, create_engine, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ITEMS = ("tea", "coffee", "cocoa", "sugar")
SELECT = text("SELECT item FROM orders WHERE customer = :customer ORDER BY id DESC LIMIT 10")
INSERT = text("INSERT INTO orders (customer, item) VALUES (:customer, :item)")


def database() -> URL:
    """Give the database's address from PG* variables, with the password from the file that SHOP_PASSWORD_FILE names."""
    return URL.create(
        "postgresql+psycopg",
        username=os.environ["PGUSER"],
        password=Path(os.environ["SHOP_PASSWORD_FILE"]).read_text("utf-8").strip(),
        host=os.environ["PGHOST"],
        port=int(os.environ.get("PGPORT", "5432")),
        database=os.environ["PGDATABASE"],
    )


engine = create_engine(database(), pool_size=5, max_overflow=0, pool_timeout=3, pool_pre_ping=True)


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    """Close the pool's connections at the end."""
    yield
    engine.dispose()


app = FastAPI(title="shop", lifespan=life)
tracing.follow(app)


@app.get("/healthz")
def health() -> str:
    """Answer, without the database."""
    return "ok"


@app.get("/orders/{customer}")
def orders(customer: int) -> list[str]:
    """Give what a customer ordered last."""
    for make in mistakes.made_now():
        make(engine, customer)
    with engine.connect() as connection:
        return list(connection.scalars(SELECT, {"customer": customer}))


@app.post("/orders/{customer}", status_code=201)
def order(customer: int) -> str:
    """Order something."""
    item = random.choice(ITEMS)
    with engine.begin() as connection:
        connection.execute(INSERT, {"customer": customer, "item": item})
    return item


@app.get("/mistakes")
def all_mistakes() -> dict[str, bool]:
    """Give each mistake, and whether it is made now."""
    return {name: mistakes.is_on(name) for name in mistakes.ALL}


@app.put("/mistakes/{name}", status_code=204)
def begin(name: str) -> None:
    """Make a mistake from now on."""
    mistakes.switch(_known(name), on=True)


@app.delete("/mistakes/{name}", status_code=204)
def end(name: str) -> None:
    """Make a mistake no more."""
    mistakes.switch(_known(name), on=False)


def _known(name: str) -> str:
    if name not in mistakes.ALL:
        raise HTTPException(404, f"no mistake {name!r}; there are {', '.join(mistakes.ALL)}")
    return name
