"""A queue of clients: each thread takes one, uses it and puts it back."""

from __future__ import annotations

import os
import queue
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
clients: queue.Queue[Client] = queue.Queue()
for _ in range(2):
    clients.put(Client(transport=TRANSPORTS[KIND](url=URL)))


def work() -> None:
    for _ in range(3):
        client = clients.get()
        try:
            client.execute(QUERY)
        finally:
            clients.put(client)


threads = [threading.Thread(target=work, name=f"report-{number}") for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
