"""What a program does without end costs memory with an end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread, Timer

from sqlalchemy import Engine, create_engine, text

import poolwatch


def _borrower(number: int) -> Callable[[Engine], None]:
    """Give a function with a line of its own."""
    place: dict[str, Callable[[Engine], None]] = {}
    code = compile("def borrow(engine):\n    engine.connect().close()\n", f"/srv/app/borrower_{number}.py", "exec")
    exec(code, place)
    return place["borrow"]


def test_sites_beyond_the_limit_share_one_entry(tmp_path: Path) -> None:
    """With more lines than ``max_sites`` nothing is lost, and no connection keeps more sums than there are sites."""
    watch = poolwatch.install(max_sites=3)
    try:
        engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=1)
        borrowers = [_borrower(number) for number in range(8)]
        for _ in range(20):
            for borrow in borrowers:
                borrow(engine)
        sites = watch.report()["sites"]
        assert sum(site["checkouts_total"] for site in sites) == 160
        assert sorted(site["checkouts_total"] for site in sites) == [20, 20, 20, 100]
        assert max(len(conn.sums) for conn in watch.ledger.conns.values()) == 4
        assert watch.report()["processes"][0]["dropped"]["sites"] > 0
        engine.dispose()
    finally:
        watch.uninstall()


def test_a_full_queue_is_counted(tmp_path: Path) -> None:
    """Where more crossings happen between two looks than the queue has room for, the report says so."""
    watch = poolwatch.install(interval=60)
    try:
        engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
        poolwatch.tag(engine, role="primary")
        with poolwatch.connected_to(role="replica"):
            for _ in range(1100):
                engine.connect().close()
        watch.findings()
        assert watch.report()["processes"][0]["dropped"] == {"events": 1}
        engine.dispose()
    finally:
        watch.uninstall()


def test_no_stack_is_deeper_than_asked(tmp_path: Path) -> None:
    """``stack_depth`` holds for every stack of a finding, of whatever thread."""
    watch = poolwatch.install(interval=60, stack_depth=2)
    try:
        engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
        inside, over = Event(), Event()

        def pause() -> bool:
            inside.set()
            return over.wait(10)

        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.create_function("pause", 0, pause)
            worker = Thread(target=lambda: connection.execute(text("select pause()")))
            worker.start()
            inside.wait(10)
            Timer(0.1, over.set).start()
            connection.execute(text("select 1"))
            worker.join()
        (finding,) = [found for found in watch.findings() if found.kind == "crossing.concurrent"]
        assert {len(stack) for stack in finding.stacks.values()} == {0, 2}
        engine.dispose()
    finally:
        watch.uninstall()
