"""FastAPI on uvicorn: one leak in a background task and one in a streaming body."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
app = FastAPI()
FORGOTTEN: list[Connection] = []


def bill(number: int) -> None:
    connection = engine.connect()  # <- background
    FORGOTTEN.append(connection)
    connection.execute(text("select 1"))


@app.post("/bills/{number}")
async def background(number: int, tasks: BackgroundTasks) -> str:
    tasks.add_task(bill, number)
    return "soon"


@app.get("/export")
async def export() -> StreamingResponse:
    async def rows() -> AsyncIterator[str]:
        connection = engine.connect()  # <- body
        FORGOTTEN.append(connection)
        yield str(connection.execute(text("select 1")).scalar_one())

    return StreamingResponse(rows())


server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run, name="uvicorn")
thread.start()
while not server.started:
    time.sleep(0.02)
port = server.servers[0].sockets[0].getsockname()[1]
with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
    assert client.post("/bills/3").json() == "soon"
    assert client.get("/export").text == "1"
time.sleep(1.8)
server.should_exit = True
thread.join()
print("done")
