"""The first request connects a session that all later ones use."""

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


async def request() -> None:
    if not hasattr(client, "session"):
        await client.connect_async()
    await client.session.execute(gql("query report { hello }"))


async def main() -> None:
    for _ in range(3):
        await asyncio.create_task(request())
    await asyncio.sleep(2.2)
    await client.close_async()


asyncio.run(main())
print("done")
