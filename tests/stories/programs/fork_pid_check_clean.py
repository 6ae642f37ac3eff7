"""Recipe 4 of the documentation: events that refuse a connection made in another process."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import create_engine, event, exc, text

engine = create_engine(os.environ["STORY_URL"], pool_size=3)


@event.listens_for(engine, "connect")
def connect(dbapi_connection: Any, connection_record: Any) -> None:
    connection_record.info["pid"] = os.getpid()


@event.listens_for(engine, "checkout")
def checkout(dbapi_connection: Any, connection_record: Any, connection_proxy: Any) -> None:
    if connection_record.info["pid"] != os.getpid():
        connection_record.dbapi_connection = connection_proxy.dbapi_connection = None
        raise exc.DisconnectionError("this connection belongs to another process")


def read() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()


read()
child = os.fork()
if child == 0:
    read()
    read()
    os._exit(0)
os.waitpid(child, 0)
read()
print("done")
