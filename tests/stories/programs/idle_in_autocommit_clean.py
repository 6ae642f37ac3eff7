"""In autocommit a held, idle connection has no transaction open, whatever SQLAlchemy's own object says."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], isolation_level="AUTOCOMMIT")
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
    time.sleep(1.5)
print("done")
