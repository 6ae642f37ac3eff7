"""A session is connected in one asyncio.run and used in the next."""

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


async def connect() -> None:
    await client.connect_async()  # <- site
    await client.session.execute(gql("query warm { hello }"))


async def read() -> None:
    try:
        await asyncio.wait_for(client.session.execute(gql("query report { hello }")), 1)
    except Exception:
        pass


async def close() -> None:
    try:
        await client.close_async()
    except Exception:
        client.transport.session = client.transport.client = None


asyncio.run(connect())
asyncio.run(read())
asyncio.run(close())
print("done")
