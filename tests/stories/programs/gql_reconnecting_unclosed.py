"""A permanent session is never closed."""

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


async def main() -> None:
    session = await client.connect_async(reconnecting=True)  # <- site
    await session.execute(gql("query report { hello }"))


asyncio.run(main())
print("done")
