"""The memory: every lease that is out, and queues of what happened. The only mutable state of poolwatch.

Hooks write here, the watcher reads. There is no lock between them: a hook sets attributes of objects that belong
to one connection and appends to deques, each of which the GIL makes whole; nobody adds to a number that another
thread adds to. What must be counted is counted by the watcher from what it drains.
"""

from poolwatch.ledger.leases import Lease
from poolwatch.ledger.ledger import Ledger, handle_gone, nobody_looks
from poolwatch.ledger.records import Conn, Event, Pool, Wait

__all__ = ["Conn", "Event", "Lease", "Ledger", "Pool", "Wait", "handle_gone", "nobody_looks"]
