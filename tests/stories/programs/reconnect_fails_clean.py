"""The server is gone for a while: reconnects fail, and the slot comes back each time."""

from __future__ import annotations

import os
import time
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=1)
server_is_down = False


@event.listens_for(engine, "do_connect")
def refuse(dialect: Any, record: Any, arguments: Any, parameters: Any) -> None:
    if server_is_down:
        raise ConnectionRefusedError("no server there")


def read() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()


with engine.connect() as held:
    held.execute(text("select 1")).all()
    held.invalidate()
    server_is_down = True
for _ in range(3):
    try:
        read()
    except ConnectionRefusedError:
        pass
server_is_down = False
read()
time.sleep(0.6)
print("done")
