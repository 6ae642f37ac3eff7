"""A client is connected, kept for a while and closed."""

from __future__ import annotations

import os
import time

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
client = Client(transport=TRANSPORTS[KIND](url=URL))
session = client.connect_sync()
session.execute(gql("query report { hello }"))
time.sleep(1.5)
client.close_sync()
print("done")
