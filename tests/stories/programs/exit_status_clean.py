"""The program ends with a status of its own, its connections given back."""

from __future__ import annotations

import os
import sys

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
try:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        print("done")
        sys.exit(7)
finally:
    engine.dispose()
