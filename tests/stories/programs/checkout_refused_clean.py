"""A checkout listener of the program's own raises: the caller gets the error, and the slot is not lost."""

from __future__ import annotations

import os
import time
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=1)
closed_for_maintenance = False


@event.listens_for(engine, "checkout")
def gate(dbapi_connection: Any, connection_record: Any, connection_proxy: Any) -> None:
    if closed_for_maintenance:
        raise RuntimeError("closed for maintenance")


for closed_for_maintenance in (False, True, True, False):
    try:
        with engine.connect() as connection:
            connection.execute(text("select 1")).all()
    except RuntimeError:
        pass
time.sleep(0.6)
print("done")
