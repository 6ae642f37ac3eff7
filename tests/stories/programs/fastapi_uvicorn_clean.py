"""The same over real sockets: uvicorn in a thread, concurrent clients, sync dependencies beside an async endpoint."""

from __future__ import annotations

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

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
app = FastAPI()


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@app.get("/sync")
def sync_orders(session: Session = Depends(get_session)) -> int:
    return int(session.execute(text("select 1")).scalar_one())


@app.get("/async")
async def async_orders(session: Session = Depends(get_session)) -> int:
    return int(session.execute(text("select 1")).scalar_one())


server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run, name="uvicorn")
thread.start()
while not server.started:
    time.sleep(0.02)
base = "http://127.0.0.1:%d" % server.servers[0].sockets[0].getsockname()[1]
with ThreadPoolExecutor(8) as clients, httpx.Client(base_url=base) as client:
    answers = list(clients.map(lambda n: client.get(("/sync", "/async")[n % 2]).json(), range(60)))
assert answers == [1] * 60
time.sleep(1.3)
server.should_exit = True
thread.join()
print("done")
