"""Threads take turns in one session, behind a lock."""

from __future__ import annotations

import os
import threading
import time

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
client = Client(transport=TRANSPORTS[KIND](url=URL))
session = client.connect_sync()
turn = threading.Lock()


def work() -> None:
    for _ in range(5):
        with turn:
            session.execute(gql("query report { slow(seconds: 0.02) }"))
        time.sleep(0.001)


threads = [threading.Thread(target=work, name=f"report-{number}") for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
client.close_sync()
print("done")
