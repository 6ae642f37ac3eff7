"""FastAPI on uvicorn: sync dependencies, and a session handed to an executor, a worker thread and a thread."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import uvicorn
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=30)
app = FastAPI()
helpers = ThreadPoolExecutor(4)


def count(session: Session) -> int:
    return int(session.execute(text("select 1")).scalar_one())


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@app.get("/sync/{id}")
def sync_handler(id: int, session: Session = Depends(get_session)) -> int:
    return count(session)


@app.get("/handed/{id}")
async def handed(id: int, session: Session = Depends(get_session)) -> int:
    first = count(session)
    second = await asyncio.get_running_loop().run_in_executor(helpers, count, session)
    third = await asyncio.to_thread(count, session)
    thread = threading.Thread(target=count, args=(session,))
    thread.start()
    await asyncio.to_thread(thread.join)
    return (first + second + third + count(session)) // 4


server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run, name="uvicorn")
thread.start()
while not server.started:
    time.sleep(0.02)
port = server.servers[0].sockets[0].getsockname()[1]
with ThreadPoolExecutor(8) as clients, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
    assert list(clients.map(lambda n: client.get(f"/{('sync', 'handed')[n % 2]}/{n}").json(), range(200))) == [1] * 200
time.sleep(1.8)
server.should_exit = True
thread.join()
print("done")
