"""One thread closes the session in which another executes."""

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
session = client.connect_sync()  # <- site


def work() -> None:
    try:
        session.execute(gql("query report { slow(seconds: 0.5) }"))
    except Exception:
        pass


thread = threading.Thread(target=work, name="report")
thread.start()
time.sleep(0.2)
client.close_sync()
thread.join()
print("done")
