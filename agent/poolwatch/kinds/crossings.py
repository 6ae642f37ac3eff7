"""Connections and Sessions used by somebody who must not use them."""

from __future__ import annotations

from poolwatch.kinds.kind import Example, Family, Kind

_JUDGED = {"How a crossing is judged": "explanation.md#how-a-crossing-is-judged"}

CONCURRENT = Kind(
    "crossing.concurrent",
    {"proved": ""},
    "two owners inside one connection at the same moment",
    "Two owners were inside one connection at the same moment. The stacks show both.",
    ("a connection in a module, a class attribute or a closure given to a thread pool",
     "`asyncio.gather` over one connection"),
    options=("strict",),
    alerts=("PoolwatchCrossing",),
    example=Example(
        """\
with engine.connect() as connection:
    in_threads(lambda: connection.execute(SLOW), lambda: connection.execute(SLOW))
""",
        """\
def work():
    with engine.connect() as connection:
        connection.execute(SLOW)


in_threads(work, work)
""",
    ),
)  # fmt: skip

INTERLEAVED = Kind(
    "crossing.interleaved",
    {"suspected": ""},
    "two owners take turns on one connection, and nothing explains it",
    """\
Two owners took turns on one connection (A, B, A), without overlap, and nothing explains it: none has ended or started
the other, none waited for the other, no lock is held around both, neither had ended its transaction, no common flow is
known. That they did not meet was luck.""",
    ("a connection in a module that several threads use, each now and then",),
    options=("strict",),
    pages=_JUDGED,
    example=Example(
        """\
connection = engine.connect()
turns = []


def clerk(first):
    for turn in range(first, 4, 2):
        while len(turns) < turn:
            pass  # work of its own
        connection.execute(ONE).all()
        turns.append(turn)


in_threads(lambda: clerk(0), lambda: clerk(1))
connection.close()
""",
        """\
def clerk():
    for _ in range(3):
        with engine.connect() as connection:
            connection.execute(ONE).all()


in_threads(clerk, clerk)
""",
    ),
)

SESSION = Kind(
    "crossing.session",
    {"proved": "where the uses overlapped", "suspected": "otherwise"},
    "one ORM `Session` used by several threads or tasks",
    """\
One ORM `Session` or `AsyncSession` was used by several threads or tasks. `crossing.concurrent` may stand beside it: the
Session's one connection was crossed too.""",
    ("a module-level session", "`asyncio.gather` over one `AsyncSession`"),
    options=("strict",),
    alerts=("PoolwatchCrossing",),
    example=Example(
        """\
session = Session(engine)
in_threads(lambda: session.execute(SLOW).all(), lambda: session.execute(SLOW).all())
session.close()
""",
        """\
def work():
    with Session(engine) as session:
        session.execute(SLOW).all()


in_threads(work, work)
""",
    ),
)

PROCESS = Kind(
    "crossing.process",
    {"proved": "where the child uses it", "suspected": "where it only closes it: its parent may not want it any more"},
    "a connection opened before a fork is used in the child",
    """\
A connection that was opened before a fork is used in the child. Both processes then speak through one socket, and may
read each other's rows. To close it there is to use it, too, as `engine.dispose()` does with what lies in the pool: the
server ends the session, and the parent's next statement fails.

Seen from outside, by an agent, it is the same socket in two processes that both use it: that is found also where
poolwatch was installed after the fork, and otherwise confirms what the child says.""",
    ("a connection that is opened while modules are imported, before a server forks its workers (`--preload`)",
     "`multiprocessing` with the start method `fork`",
     "`engine.dispose()` in the child, without `close=False`"),
    options=("strict", "protect_fork"),
    alerts=("PoolwatchForkCrossing",),
    pages={"Many processes": "agent.md"},
    example=Example(
        """\
with engine.connect() as connection:
    connection.execute(ONE)
if os.fork() == 0:
    with engine.connect() as connection:
        connection.execute(ONE)
    os._exit(0)
os.wait()
""",
        """\
with engine.connect() as connection:
    connection.execute(ONE)
if os.fork() == 0:
    engine.dispose(close=False)
    with engine.connect() as connection:
        connection.execute(ONE)
    os._exit(0)
os.wait()
""",
    ),
)  # fmt: skip

LOOP = Kind(
    "crossing.loop",
    {"proved": ""},
    "an async pool or connection used on another event loop than its own",
    """\
An async pool or connection is used on another event loop than its own. It may work while a connection is idle, and hang
later.""",
    ("`asyncio.run` called more than once over one engine", "an engine in a module, and a loop for each test"),
    options=("strict",),
    alerts=("PoolwatchCrossing",),
    example=Example(
        """\
shop = create_async_engine("sqlite+aiosqlite:///shop.db")


async def visit():
    async with shop.connect() as connection:
        await connection.execute(ONE)


asyncio.run(visit())
asyncio.run(visit())
""",
        """\
shop = create_async_engine("sqlite+aiosqlite:///shop.db")


async def visit():
    async with shop.connect() as connection:
        await connection.execute(ONE)
    await shop.dispose()


asyncio.run(visit())
asyncio.run(visit())
""",
    ),
)

TRANSPORT = Kind(
    "crossing.transport",
    {"proved": ""},
    "one gql client or transport shared by threads, tasks or loops",
    """\
One connected gql client or transport was used by several threads, or on another loop. The finding names victim and
culprit.""",
    ("a client in a module, used by worker threads",),
    options=("strict",),
    alerts=("PoolwatchCrossing",),
    pages={"gql": "howto/gql.md"},
)

FLOW = Kind(
    "crossing.flow",
    {"proved": ""},
    "two requests or jobs use one connection within one lease",
    """\
Two different flows (requests, jobs) used one connection within one lease, on two threads or tasks, and the second went
on with what the first had left open in it: turns that end with a commit or rollback, or in autocommit, are no finding.
A flow is a `poolwatch.scope(...)`, or a request or job that a framework hook has named.""",
    ("a connection or `Session` that outlives its request in a cache, and serves the next",),
    options=("strict",),
    alerts=("PoolwatchCrossing",),
    pages={"Flows": "flows.md"},
)

ROUTE = Kind(
    "crossing.route",
    {"proved": ""},
    "a child did not inherit its parent's route, or a pool's tag contradicts it",
    """\
A connection was taken from a pool whose tag contradicts the route (role, shard, tenant) in force, or the parent's route
where a child thread, task or greenlet has lost it.""",
    ("a thread or a job of an executor, which inherits no context from who started it",),
    options=("strict", "inherit_routes"),
    alerts=("PoolwatchCrossing",),
    pages={"Routes": "fibers.md#routes"},
)

FAMILY = Family(
    "Crossings",
    (CONCURRENT, INTERLEAVED, SESSION, PROCESS, LOOP, TRANSPORT, FLOW, ROUTE),
    """\
A connection serves one thread or task at a time. Passing it on in an orderly way is normal, and is no finding: it is
the number "handed" of the pool. With the option `strict` a crossing raises at the offending call, before the statement
is sent.""",
    _JUDGED,
)
