"""A service object at module level keeps the Session of a thread that ended."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])


class Orders:
    session: Session | None = None

    def load(self) -> None:
        self.session = Session(engine)
        self.session.execute(text("select 1")).all()  # <- site


orders = Orders()
thread = threading.Thread(target=orders.load, name="loader")
thread.start()
thread.join()
time.sleep(2.2)
print("done")
