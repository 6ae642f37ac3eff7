"""aegra#423: a streaming response holds its connection for the length of the stream."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=30)
app = FastAPI()


@app.get("/runs/{id}")
async def run(id: int) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        with engine.connect() as connection:  # <- site
            for number in connection.execute(text("select 1 union all select 2")).scalars().all():
                await asyncio.sleep(0.6)
                yield str(number)

    return StreamingResponse(events())


server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run, name="uvicorn")
thread.start()
while not server.started:
    time.sleep(0.02)
port = server.servers[0].sockets[0].getsockname()[1]
with ThreadPoolExecutor(25) as clients, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
    assert set(clients.map(lambda n: client.get(f"/runs/{n}").text, range(25))) == {"12"}
time.sleep(1.8)
server.should_exit = True
thread.join()
print("done")
