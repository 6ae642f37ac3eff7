"""Each request makes a client of its own."""

from __future__ import annotations

import os
import threading

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport
from gql.transport.websockets import WebsocketsTransport

TRANSPORTS = {
    "requests": RequestsHTTPTransport,
    "httpx": HTTPXTransport,
    "httpx_async": HTTPXAsyncTransport,
    "aiohttp": AIOHTTPTransport,
    "websockets": WebsocketsTransport,
}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
QUERY = gql("query report { slow(seconds: 0.1) }")


def work() -> None:
    for _ in range(3):
        client = Client(transport=TRANSPORTS[KIND](url=URL))
        client.execute(QUERY)


threads = [threading.Thread(target=work, name=f"report-{number}") for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
