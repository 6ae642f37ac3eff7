"""fastapi#4719: a dependency leaves closing to whoever comes after the response, and with a middleware nobody comes."""

from __future__ import annotations

import os
import threading
import time

import httpx
import uvicorn
from fastapi import FastAPI, Request
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
app = FastAPI()


@app.middleware("http")
async def with_session(request: Request, call_next):
    request.app.state.session = request.state.session = Session(engine)
    response = await call_next(request)
    if request.url.path != "/orders/9":  # forgets the way that an early return takes
        request.state.session.close()
    return response


@app.get("/orders/{id}")
async def order(id: int, request: Request) -> int:
    return int(request.state.session.execute(text("select 1")).scalar_one())  # <- site


server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run, name="uvicorn")
thread.start()
while not server.started:
    time.sleep(0.02)
port = server.servers[0].sockets[0].getsockname()[1]
with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
    assert [client.get(f"/orders/{number}").json() for number in range(10)] == [1] * 10
time.sleep(1.8)
server.should_exit = True
thread.join()
print("done")
