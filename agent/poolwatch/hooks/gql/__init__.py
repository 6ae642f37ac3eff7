"""gql: a connected transport is a lease of a pool of one, from connect to close.

Every transport of a Client is seen through the methods of its class, so those of the application's own are too.
What counts as sharing, by what gql and its HTTP libraries document:

* Many tasks of one event loop may execute in one session of an async transport: clean. Another loop may not, and
  a second connect of a connected transport is a fault of whoever makes it, whatever gql then does.
* A sync transport serves one thread at a time. gql documents threads in one sync session only with its automatic
  batching, where a thread of gql's own does all the talking; ``requests.Session`` promises nothing, and the
  transport keeps headers and files of the running request in itself. Turns are clean, overlap is a crossing.
* A transport class of the application's own may hand a call on to gql's in a task or thread that it waits for: that is
  one call, whoever runs it.
* Sessions are made to be kept, also by somebody else than who opened them (a queue of clients, a session made by
  the first request). Once it outlives its opener in other hands, it belongs to its loop, or to the process.
"""

from __future__ import annotations

import gc
import os
from typing import Any

import gql
from gql.client import Client, ReconnectingAsyncClientSession

from poolwatch.hooks.gql import lines, pools, transports
from poolwatch.hooks.patch import patch
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses.stack import treat_as_inside


def install(ledger: Ledger, guard: Guard) -> None:
    """See the transports of all clients: those made from now on, and those that exist."""
    treat_as_inside(os.path.dirname(gql.__file__))
    pools.install(ledger)
    lines.install(ledger, guard)
    transports.install(guard)
    _see_clients(guard)
    start: Any = ReconnectingAsyncClientSession.start_connecting_task

    async def start_connecting_task(self: Any) -> None:
        lines.keep(self)
        await start(self)

    patch(guard, lines.HOOK, ReconnectingAsyncClientSession, "start_connecting_task", start_connecting_task)


def _see_clients(guard: Guard) -> None:
    original = Client.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        transports.see(self.transport)

    patch(guard, lines.HOOK, Client, "__init__", __init__)
    for client in [found for found in gc.get_objects() if issubclass(type(found), Client)]:
        transports.see(getattr(client, "transport", None))
