"""Clients are connected and dropped."""

from __future__ import annotations

import gc
import os
import time

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")


def read() -> None:
    session = Client(transport=TRANSPORTS[KIND](url=URL)).connect_sync()  # <- site
    session.execute(gql("query report { hello }"))


for _ in range(3):
    read()
gc.collect()
time.sleep(0.6)
print("done")
