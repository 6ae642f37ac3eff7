"""StaticPool: the same connection borrowed twice at once by one thread, as by design."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

engine = create_engine(os.environ["STORY_URL"], poolclass=StaticPool)
with Session(engine) as outer:
    outer.execute(text("select 1")).all()
    with Session(engine) as inner:
        inner.execute(text("select 1")).all()
    outer.execute(text("select 1")).all()
time.sleep(0.5)
print("done")
