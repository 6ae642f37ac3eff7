"""The program dies of an exception that passes through `with`."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
with engine.begin() as connection:
    connection.execute(text("select 1")).all()
    print("done")
    raise SystemError("a bug of the program's own")
