"""A thread takes a client from the queue, connects it, and neither closes nor returns it."""

from __future__ import annotations

import os
import queue
import threading
import time

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
clients = queue.Queue()
kept = []
for _ in range(2):
    clients.put(Client(transport=TRANSPORTS[KIND](url=URL)))


def work() -> None:
    client = clients.get()
    kept.append(client)
    client.connect_sync().execute(gql("query report { hello }"))  # <- site


thread = threading.Thread(target=work, name="report")
thread.start()
thread.join()
time.sleep(2.2)
print("done")
