"""Raw connections with cursors, closed by hand and by contextlib.closing."""

from __future__ import annotations

import contextlib
import os

from sqlalchemy import create_engine

engine = create_engine(os.environ["STORY_URL"])
raw = engine.raw_connection()
try:
    cursor = raw.cursor()
    cursor.execute("select 1")
    cursor.fetchall()
    cursor.close()
    raw.commit()
finally:
    raw.close()
for _ in range(5):
    with contextlib.closing(engine.raw_connection()) as again:
        cursor = again.cursor()
        cursor.execute("select 1")
        cursor.fetchall()
        cursor.close()
raw.close()  # closing twice is harmless
print("done")
