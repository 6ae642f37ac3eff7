"""While a permanent session is open, a request connects the same client again."""

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
    try:
        await client.execute_async(gql("query report { hello }"))
    except Exception:
        pass


async def main() -> None:
    permanent = await client.connect_async(reconnecting=True)  # <- site
    await asyncio.create_task(request(), name="request")
    client.session = permanent
    await client.close_async()


asyncio.run(main())
print("done")
