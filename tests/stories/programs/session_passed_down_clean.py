"""A session passed to a helper thread which is joined before the session is used again: a hand-off, no crossing."""

from __future__ import annotations

import os
import threading

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])


def helper(session: Session) -> None:
    session.execute(text("select 1")).all()


with Session(engine) as session:
    session.execute(text("select 1")).all()
    thread = threading.Thread(target=helper, args=(session,), name="helper")
    thread.start()
    thread.join()
print("done")
