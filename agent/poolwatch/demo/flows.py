"""Mistakes between flows of work: requests, routes and event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import insert, text

import poolwatch
from poolwatch.demo.leaks import COUNT, KEPT, in_threads, join
from poolwatch.demo.shop import Order, open_branch
from poolwatch.demo.stage import Stage


@contextmanager
def forget(stage: Stage) -> Iterator[None]:
    """End a request that has put its connection into a list."""
    engine = open_branch(stage.folder, "orders")
    with poolwatch.scope("POST /orders"):
        KEPT.append(engine.connect())
    yield


@contextmanager
def serve_both(stage: Stage) -> Iterator[None]:
    """Serve two customers, one after the other, on one connection, in one transaction."""
    with open_branch(stage.folder, "service").connect() as connection:

        def serve(customer: str) -> None:
            with poolwatch.scope(f"POST /orders of {customer}"):
                connection.execute(insert(Order).values(item="tea"))

        for number, customer in enumerate(("Ada", "Bob")):
            join(in_threads(partial(serve, customer), first=number))
        yield


@contextmanager
def lose_route(stage: Stage) -> Iterator[None]:
    """Start a thread that knows nothing of the route its parent has chosen."""
    engine = open_branch(stage.folder, "primary")
    poolwatch.tag(engine, role="primary")

    def read() -> None:
        with engine.connect() as connection:
            connection.execute(COUNT)

    with poolwatch.connected_to(role="replica"):
        join(in_threads(read))
    yield


@contextmanager
def change_loop(stage: Stage) -> Iterator[None]:
    """Use an async engine on a second event loop."""
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{stage.folder / 'web2'}.db")

    async def visit(last: bool) -> None:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
        if last:
            await engine.dispose()

    asyncio.run(visit(last=False))
    asyncio.run(visit(last=True))
    yield
