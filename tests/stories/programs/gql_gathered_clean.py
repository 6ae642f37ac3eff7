"""Many tasks execute in one session, as the documentation of gql has it."""

from __future__ import annotations

import asyncio
import os

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

TRANSPORTS = {"httpx_async": HTTPXAsyncTransport, "aiohttp": AIOHTTPTransport, "websockets": WebsocketsTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
QUERY = gql("query report { slow(seconds: 0.1) }")


async def follow(session) -> None:
    async for _ in session.subscribe(gql("subscription { ticks(count: 100) }")):
        pass


async def main() -> None:
    async with Client(transport=TRANSPORTS[KIND](url=URL)) as session:
        await asyncio.gather(*(session.execute(QUERY) for _ in range(5)))
        await asyncio.wait_for(session.execute(QUERY), 5)
        follower = asyncio.create_task(follow(session)) if KIND == "websockets" else None
        await asyncio.gather(*(asyncio.create_task(session.execute(QUERY)) for _ in range(5)))
        await asyncio.sleep(1.5)
    if follower is not None:
        await asyncio.wait([follower])


asyncio.run(main())
print("done")
