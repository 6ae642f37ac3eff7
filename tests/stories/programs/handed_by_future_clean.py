"""An executor's thread opens the connection and ends with its pool; the caller got it through a future."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def main() -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="opener") as executor:
        connection = executor.submit(engine.connect).result()
    time.sleep(2)
    with connection:
        connection.execute(text("select 1")).all()


main()
print("done")
