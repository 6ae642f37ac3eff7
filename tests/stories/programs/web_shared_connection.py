"""One connection made by the first request, kept, and used by all that follow, each after the other."""

from __future__ import annotations

import os
import threading
import time

import httpx
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
app = FastAPI()
lock = threading.Lock()
CACHE: dict[str, Connection] = {}


@app.get("/orders/{id}")
async def order(id: int) -> int:
    with lock:
        if "connection" not in CACHE:
            CACHE["connection"] = engine.connect()  # <- site
        return int(CACHE["connection"].execute(text("select 1")).scalar_one())


server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run, name="uvicorn")
thread.start()
while not server.started:
    time.sleep(0.02)
port = server.servers[0].sockets[0].getsockname()[1]
with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
    assert [client.get(f"/orders/{number}").json() for number in range(10)] == [1] * 10
CACHE["connection"].close()
server.should_exit = True
thread.join()
print("done")
