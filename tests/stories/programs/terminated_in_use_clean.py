"""The server ends a connection in use; the statement fails, and `with` cleans up."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

engine = create_engine(os.environ["STORY_URL"])
admin = create_engine(os.environ["STORY_URL"])
WHO = {"postgresql": "select pg_backend_pid()", "mysql": "select connection_id()"}
END = {"postgresql": "select pg_terminate_backend({})", "mysql": "kill {}"}
try:
    with engine.connect() as connection:
        backend = connection.execute(text(WHO[engine.dialect.name])).scalar_one()
        with admin.connect() as other:
            other.execute(text(END[engine.dialect.name].format(backend)))
        time.sleep(0.1)
        connection.execute(text("select 1"))
        raise SystemExit("the statement should have failed")
except DBAPIError:
    pass
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
time.sleep(0.6)
print("done")
