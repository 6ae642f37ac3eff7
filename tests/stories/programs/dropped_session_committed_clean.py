"""A Session is committed and forgotten: commit gave the connection back."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])


def count() -> int:
    session = Session(engine)
    number = int(session.execute(text("select 1")).scalar_one())
    session.commit()
    return number


count()
gc.collect()
time.sleep(0.6)
print("done")
