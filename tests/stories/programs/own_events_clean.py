"""A program with pool, engine and session events of its own, one of which refuses a checkout now and then."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import create_engine, event, exc, text
from sqlalchemy.orm import Session, sessionmaker

engine = create_engine(os.environ["STORY_URL"])
make = sessionmaker(engine)
seen: list[str] = []


@event.listens_for(engine, "checkout")
def refuse_some(dbapi_connection: Any, connection_record: Any, connection_proxy: Any) -> None:
    seen.append("checkout")
    if len(seen) % 7 == 0:
        raise exc.DisconnectionError("stale, take another one")


@event.listens_for(engine, "checkin")
def back(dbapi_connection: Any, connection_record: Any) -> None:
    seen.append("checkin")


@event.listens_for(engine, "before_cursor_execute")
def statement(conn: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
    conn.info["statements"] = conn.info.get("statements", 0) + 1


@event.listens_for(make, "after_begin")
def began(session: Session, transaction: Any, connection: Any) -> None:
    session.info["began"] = True


for _ in range(20):
    with make() as session:
        session.execute(text("select 1")).all()
print("done")
