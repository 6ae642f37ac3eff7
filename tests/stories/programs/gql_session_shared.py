"""Threads execute at the same moment in one session that the main thread has connected."""

from __future__ import annotations

import os
import threading

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
client = Client(transport=TRANSPORTS[KIND](url=URL))
session = client.connect_sync()  # <- site
together = threading.Barrier(3)


def work() -> None:
    together.wait()
    session.execute(gql("query report { slow(seconds: 0.3) }"))


threads = [threading.Thread(target=work, name=f"report-{number}") for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
client.close_sync()
print("done")
