"""A session connected before a fork is used after it."""

from __future__ import annotations

import os

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
client = Client(transport=TRANSPORTS[KIND](url=URL))
session = client.connect_sync()  # <- site
session.execute(gql("query warm { hello }"))
child = os.fork()
if not child:
    try:
        session.execute(gql("query report { hello }"))
    finally:
        os._exit(0)
os.waitpid(child, 0)
client.close_sync()
print("done")
