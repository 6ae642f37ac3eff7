"""A permanent session serves tasks that come and go."""

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


async def start() -> None:
    await client.connect_async(reconnecting=True)


async def request() -> None:
    await client.session.execute(gql("query report { hello }"))


async def main() -> None:
    await asyncio.create_task(start())
    await asyncio.gather(*(asyncio.create_task(request()) for _ in range(3)))
    await asyncio.sleep(2.2)
    await asyncio.create_task(request())
    await client.close_async()


asyncio.run(main())
print("done")
