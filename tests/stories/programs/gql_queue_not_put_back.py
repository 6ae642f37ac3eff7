"""A connected session is taken from the queue and never put back."""

from __future__ import annotations

import gc
import os
import queue
import threading
import time

from gql import Client, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport

TRANSPORTS = {"requests": RequestsHTTPTransport, "httpx": HTTPXTransport}
KIND, _, URL = os.environ["STORY_URL"].partition("+")
sessions = queue.Queue()
for _ in range(2):
    sessions.put(Client(transport=TRANSPORTS[KIND](url=URL)).connect_sync())  # <- site


def work() -> None:
    session = sessions.get()
    session.execute(gql("query report { hello }"))


thread = threading.Thread(target=work, name="report")
thread.start()
thread.join()
gc.collect()
time.sleep(0.6)
while not sessions.empty():
    sessions.get().client.close_sync()
print("done")
