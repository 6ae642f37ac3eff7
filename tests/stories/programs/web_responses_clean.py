"""FastAPI on uvicorn: background tasks, tasks that outlive their request, streams and websockets give all back."""

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import uvicorn
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool
from websockets.sync.client import connect

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=30)
app, LATER = FastAPI(), set()


def numbers():
    with engine.connect() as connection:
        yield from map(str, connection.execute(text("select 1 union all select 2")).scalars())


async def later(seconds):
    with engine.connect():
        await asyncio.sleep(seconds)


@app.post("/tasks/{id}")
async def tasks(id: int, background: BackgroundTasks):
    background.add_task(list, numbers())
    LATER.add(asyncio.create_task(later(0 if id % 4 else 1.5)))
    return StreamingResponse(numbers())


@app.websocket("/ws/{id}")
async def talk(id: int, socket: WebSocket):
    await socket.accept()
    await socket.receive_text()
    await socket.send_text("".join(numbers()))


def ask(n):
    with connect(f"ws://127.0.0.1:{port}/ws/{n}") as socket:
        socket.send("more")
        return socket.recv(), client.post(f"/tasks/{n}").text


server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
threading.Thread(target=server.run, daemon=True).start()
time.sleep(1)
port = server.servers[0].sockets[0].getsockname()[1]
with ThreadPoolExecutor(8) as clients, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
    assert set(clients.map(ask, range(20))) == {("12", "12")}
time.sleep(1.8)
print("done")
