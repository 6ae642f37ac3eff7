"""One client serves several threads, one after another."""

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
client = Client(transport=TRANSPORTS[KIND](url=URL))


def work() -> None:
    client.execute(gql("query report { hello }"))


for number in range(3):
    thread = threading.Thread(target=work, name=f"report-{number}")
    thread.start()
    thread.join()
work()
print("done")
