"""The server ends an idle connection; pre-ping finds out and connects anew."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], pool_pre_ping=True)
admin = create_engine(os.environ["STORY_URL"])
WHO = {"postgresql": "select pg_backend_pid()", "mysql": "select connection_id()"}
END = {"postgresql": "select pg_terminate_backend({})", "mysql": "kill {}"}
with engine.connect() as connection:
    backend = connection.execute(text(WHO[engine.dialect.name])).scalar_one()
with admin.connect() as connection:
    connection.execute(text(END[engine.dialect.name].format(backend)))
time.sleep(0.1)
with engine.connect() as connection:
    assert connection.execute(text(WHO[engine.dialect.name])).scalar_one() != backend
time.sleep(0.5)
print("done")
