"""Correct applications on real servers, driven over HTTP: no finding, no lost request, and numbers that agree."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.launcher import poolwatch, reported, script

APP = """
import os, threading, time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import httpx, uvicorn
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

engine = create_engine("sqlite:///shop.db", poolclass=QueuePool, pool_size=50)
app = FastAPI()

def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session

@app.get("/orders/{id}")
def order(id: int, session: Session = Depends(get_session)) -> int:
    return session.execute(text("select 1")).scalar_one()

@app.get("/customers/{name}")
async def customer(name: str, session: Session = Depends(get_session)) -> int:
    return session.execute(text("select 1")).scalar_one()

server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.02)
port = server.servers[0].sockets[0].getsockname()[1]
def ask(n):
    return client.get(f"/orders/{n}" if n % 4 else f"/customers/c{n}").json()
with ThreadPoolExecutor(8) as clients, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
    assert list(clients.map(ask, range(1000))) == [1] * 1000
time.sleep(0.5)
server.should_exit = True
thread.join()
"""


def test_a_thousand_requests_to_fastapi(tmp_path: Path) -> None:
    """Sync dependencies run on three worker threads a request: one flow each, no finding, and every request counted."""
    done = poolwatch("run", "--report", "r.json", "--", sys.executable, script(tmp_path, APP), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = reported(tmp_path / "r.json")
    assert report["findings"] == []
    scopes = {totals["name"]: totals for totals in report["scopes"]}
    counted = {name: (totals["flows_total"], totals["leases_total"]) for name, totals in scopes.items()}
    assert counted == {"GET /orders/{id}": (750, 750), "GET /customers/{name}": (250, 250)}
    assert {totals["most_at_once"] for totals in scopes.values()} == {1}
    assert [process["hook_errors"] for process in report["processes"]] == [{}]
