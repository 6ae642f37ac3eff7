"""A queue of connected sessions, some of them opened by threads that have ended."""

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
sessions = queue.Queue()


def open_one() -> None:
    sessions.put(Client(transport=TRANSPORTS[KIND](url=URL)).connect_sync())


def work() -> None:
    session = sessions.get()
    session.execute(gql("query report { hello }"))
    sessions.put(session)


open_one()
opener = threading.Thread(target=open_one, name="opener")
opener.start()
opener.join()
for number in range(6):
    thread = threading.Thread(target=work, name=f"report-{number}")
    thread.start()
    thread.join()
time.sleep(2.2)
while not sessions.empty():
    sessions.get().client.close_sync()
print("done")
