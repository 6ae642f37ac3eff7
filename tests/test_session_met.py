"""One Session in two hands: how often it is told."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import poolwatch
from tests.servers import Server


@pytest.mark.parametrize("by", ["session", "connection"])
def test_each_intruder_is_told_once(watch: poolwatch.Watch, postgres: Server, by: str) -> None:
    """Whoever is met in a Session is not told of again for its connection; who goes there by himself is."""
    engine = create_engine(postgres.url("psycopg"))
    with Session(engine) as session:
        connection = session.connection()
        sleeper = threading.Thread(target=session.execute, args=(text("select pg_sleep(0.3)"),))
        sleeper.start()
        while not any(lease.conn.inside for lease in watch.leases_out()):
            assert sleeper.is_alive()
        (session if by == "session" else connection).execute(text("select 1"))  # type: ignore[attr-defined]
        sleeper.join()
    engine.dispose()
    counts = {finding.kind: finding.count for finding in watch.findings()}
    assert counts == {"crossing.session": 1, "crossing.concurrent": 1}
