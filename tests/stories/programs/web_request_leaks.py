"""FastAPI on uvicorn: one leak in a handler and one in a dependency."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import httpx
import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
app = FastAPI()
orders = APIRouter(prefix="/orders")
FORGOTTEN: list[Connection] = []


@orders.get("/{id}")
def order(id: int) -> int:
    connection = engine.connect()  # <- handler
    FORGOTTEN.append(connection)
    return int(connection.execute(text("select 1")).scalar_one())


def get_connection() -> Iterator[Connection]:
    connection = engine.connect()  # <- dependency
    FORGOTTEN.append(connection)
    yield connection


@app.get("/customers/{name}")
async def customer(name: str, connection: Connection = Depends(get_connection)) -> int:
    return int(connection.execute(text("select 1")).scalar_one())


app.include_router(orders, prefix="/v1")
server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run, name="uvicorn")
thread.start()
while not server.started:
    time.sleep(0.02)
port = server.servers[0].sockets[0].getsockname()[1]
with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
    assert client.get("/v1/orders/7").json() == client.get("/v1/orders/8").json() == 1
    assert client.get("/customers/ann").json() == 1
time.sleep(1.8)
server.should_exit = True
thread.join()
print("done")
