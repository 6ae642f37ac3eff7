"""Threads execute in one session with automatic batching, as the documentation of gql has it."""

from __future__ import annotations

import os
import threading

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
client = Client(transport=TRANSPORTS[KIND](url=URL), batch_interval=0.02)


def work(session) -> None:
    for _ in range(3):
        session.execute(gql("query report { slow(seconds: 0.1) }"))


with client as session:
    threads = [threading.Thread(target=work, args=(session,), name=f"report-{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
