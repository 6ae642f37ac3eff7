"""Results streamed with yield_per and partitions, one of them left half way, inside `with`."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

MANY = "with recursive c(n) as (select 1 union all select n + 1 from c where n < 900) select n from c"
engine = create_engine(os.environ["STORY_URL"])
with engine.connect() as connection:
    streamed = connection.execution_options(yield_per=50).execute(text(MANY))
    assert sum(1 for _ in streamed) == 900
with engine.connect() as connection:
    for row in connection.execution_options(stream_results=True, max_row_buffer=10).execute(text(MANY)):
        if row.n == 20:
            break
with Session(engine) as session:
    result = session.execute(text(MANY), execution_options={"yield_per": 100})
    assert len(list(result.partitions(100))) == 9
print("done")
