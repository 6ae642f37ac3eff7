"""A client made before a fork connects in each process by itself."""

from __future__ import annotations

import os

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
client = Client(transport=TRANSPORTS[KIND](url=URL))
client.execute(gql("query warm { hello }"))
child = os.fork()
if not child:
    try:
        client.execute(gql("query report { hello }"))
    finally:
        os._exit(0)
os.waitpid(child, 0)
client.execute(gql("query report { hello }"))
print("done")
