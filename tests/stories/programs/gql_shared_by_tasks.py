"""One client for all tasks, each of which connects it."""

from __future__ import annotations

import asyncio
import os

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

TRANSPORTS = {"httpx_async": HTTPXAsyncTransport, "aiohttp": AIOHTTPTransport, "websockets": WebsocketsTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
client = Client(transport=TRANSPORTS[KIND](url=URL))


async def work(delay: float) -> None:
    await asyncio.sleep(delay)
    try:
        async with client as session:  # <- site
            await session.execute(gql("query report { slow(seconds: 0.3) }"))
    except Exception:
        pass


async def main() -> None:
    tasks = [asyncio.create_task(work(0.05 * number), name=f"report-{number}") for number in range(3)]
    await asyncio.wait(tasks)


asyncio.run(main())
print("done")
