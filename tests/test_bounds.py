"""What a program does without end costs memory with an end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, create_engine

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
