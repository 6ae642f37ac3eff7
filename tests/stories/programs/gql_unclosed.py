"""A client is connected and never closed."""

from __future__ import annotations

import os

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
client = Client(transport=TRANSPORTS[KIND](url=URL))
session = client.connect_sync()  # <- site
session.execute(gql("query report { hello }"))
print("done")
