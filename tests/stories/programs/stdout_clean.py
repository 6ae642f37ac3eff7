"""The program's own output on both streams, and what it reads, are its own affair."""

from __future__ import annotations

import os
import sys

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], echo=False)
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
assert sys.argv[1:] == [], sys.argv
assert __name__ == "__main__" and os.path.basename(__file__) == os.path.basename(sys.argv[0])
print("a line for the log", file=sys.stderr)
print("done")
