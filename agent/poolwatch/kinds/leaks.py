"""Connections that were borrowed and not given back."""

from __future__ import annotations

from poolwatch.kinds.kind import Example, Family, Kind

_BACK = "when the connection comes back"

COLLECTED = Kind(
    "leak.collected",
    {"proved": ""},
    "dropped without being returned; the garbage collector found it",
    """\
The connection was dropped without being returned, and the garbage collector found it.

SQLAlchemy returns such a connection by itself, silently, whenever the collector runs. Until then the slot is taken.
psycopg_pool does not: the slot is lost for good.""",
    ("a branch or an exception that skips `close()`", "a result that is returned in place of its rows"),
    options=("reclaim",),
    alerts=("PoolwatchLeakProved",),
    example=Example(
        """\
def price():
    connection = engine.connect()
    return connection.execute(ONE).scalar()


price()
import gc

gc.collect()  # a longer program does this by itself
""",
        """\
def price():
    with engine.connect() as connection:
        return connection.execute(ONE).scalar()


price()
""",
    ),
)

OWNER_ENDED = Kind(
    "leak.owner_ended",
    {"probable": "", "proved": "where only a dead frame or a traceback keeps the connection",
     "suspected": "where living code holds too much to look through, something that Python does not show keeps it, "
     "it lies in a plain name that other code reads, or others took it up before"},
    "the thread, task or greenlet that held it has ended, and nobody alive reaches it",
    """\
The thread, task or greenlet that held the connection has ended, and no living frame reaches it. "Kept by" names what
keeps it, where poolwatch finds the way. So it is with one that came from a queue, where others that the same line has
taken lie: who used it last has ended and has left it in a list or the like, though the thread that opened it lives.""",
    ("the connection, a `Session` or an unread result was put into something global",
     "an exception that is kept, and with it the frame that held the connection",
     "a client or connection taken from a queue and not put back"),
    resolved=_BACK,
    options=("grace", "reclaim"),
    alerts=("PoolwatchLeakProved", "PoolwatchLeakProbable"),
    pages={"How a leak is proved": "explanation.md#how-a-leak-is-proved"},
    example=Example(
        """\
def order():
    kept.append(engine.connect())


in_threads(order)
time.sleep(2)
""",
        """\
def order():
    with engine.connect() as connection:
        kept.append(connection.execute(ONE).scalar())


in_threads(order)
time.sleep(2)
""",
    ),
)  # fmt: skip

SCOPE_ENDED = Kind(
    "leak.scope_ended",
    {"proved": ""},
    "the request, job or named block ended while holding",
    """\
The request, job or `poolwatch.scope(...)` block that took the connection is over, and nobody alive has it in hand.""",
    ("a handler that keeps its connection, or an unread result, in a cache",
     "a handler that raises before it comes to `close()`, where somebody keeps the exception"),
    resolved=_BACK,
    options=("grace",),
    alerts=("PoolwatchLeakProved",),
    pages={"Flows": "flows.md"},
    example=Example(
        """\
import poolwatch

with poolwatch.scope("GET /orders"):
    kept.append(engine.connect())
time.sleep(2)
""",
        """\
import poolwatch

with poolwatch.scope("GET /orders"), engine.connect() as connection:
    kept.append(connection.execute(ONE).scalar())
""",
    ),
)  # fmt: skip

PROCESS_ENDED = Kind(
    "leak.process_ended",
    {"proved": ""},
    "a process ended or was killed with connections out",
    """\
The process ended, or was killed, while connections were out. Where it could not say a last word (SIGKILL),
`poolwatch run` or the agent says it, from the process's last snapshot.""",
    ("a worker that is killed: out of memory, a timeout of its server, a deploy that does not wait",
     "a program that never closes what it opened at its start"),
    resolved="where an agent reads, after five minutes; else never, for the process is over",
    alerts=("PoolwatchLeakProved",),
    pages={"Many processes": "agent.md"},
    example=Example(
        """\
connection = engine.connect()
connection.execute(ONE)
""",
        """\
with engine.connect() as connection:
    connection.execute(ONE)
engine.dispose()
""",
    ),
)  # fmt: skip

DETACHED = Kind(
    "leak.detached",
    {"proved": ""},
    "a detached connection was dropped without close",
    """\
`detach()` took the connection out of the pool, and then it was dropped without `close()`. The pool knows nothing of it
any more; the server still has the session.

It is no leak to go on with the driver's own connection (`connection.connection.driver_connection`) after `detach()`,
and to close that: where it is closed, or somebody still has it, when what was detached is dropped, poolwatch says
nothing, and does not know what becomes of it. Nor does it where the driver cannot say whether it is closed, and of
asyncpg's, which its event loop keeps.""",
    ("code that takes a connection for itself, for instance to listen or to copy, and has no `finally`",),
    alerts=("PoolwatchLeakProved",),
    example=Example(
        """\
def export():
    connection = engine.connect()
    connection.detach()


export()
import gc

gc.collect()
""",
        """\
def export():
    with engine.connect() as connection:
        connection.detach()


export()
""",
    ),
)

OVERDUE = Kind(
    "leak.overdue",
    {"suspected": ""},
    "held longer than allowed, and idle all that while",
    """\
Held longer than `overdue_after` and not used all that while. A long statement that is running is not idle. What is held
so as to be held is no finding: a connection that listens (`LISTEN`, a driver's listener), or whose last statement has
taken a lock of the session's (`pg_advisory_lock`, `GET_LOCK`).""",
    ("a connection taken at the start of something that then waits for something else",
     "a connection that somebody keeps and has forgotten, while the thread or task lives on"),
    resolved=f"{_BACK} or is used again",
    options=("overdue_after",),
    alerts=("PoolwatchLeaseOverdue",),
    example=Example(
        """\
with engine.connect() as connection:
    time.sleep(1.5)  # another service is asked
    connection.execute(ONE)
""",
        """\
time.sleep(1.5)
with engine.connect() as connection:
    connection.execute(ONE)
""",
        "--overdue-after 0.5",
    ),
)  # fmt: skip

FAMILY = Family("Leaks", (COLLECTED, OWNER_ENDED, SCOPE_ENDED, PROCESS_ENDED, DETACHED, OVERDUE))
