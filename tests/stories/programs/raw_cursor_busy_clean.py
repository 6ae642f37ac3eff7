"""A job works for long with the driver's own cursors, first in many short statements, then in a long one."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine

engine = create_engine(os.environ["STORY_URL"])
SLEEP = "select sleep(2)" if engine.dialect.name == "mysql" else "select pg_sleep(2)"

connection = engine.raw_connection()
try:
    cursor = connection.cursor()
    for _ in range(20):
        cursor.execute("select 1")
        cursor.fetchall()
        time.sleep(0.1)
    cursor.execute(SLEEP)
    cursor.fetchall()
    cursor.close()
finally:
    connection.close()
print("done")
