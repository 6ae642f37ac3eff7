"""Pools that have nothing left to lend."""

from __future__ import annotations

from poolwatch.kinds.kind import Example, Family, Kind

EXHAUSTED = Kind(
    "starvation.exhausted",
    {"proved": ""},
    "somebody timed out, or waits too long, on an empty pool; every holder is listed",
    """\
Somebody timed out on an empty pool, or has waited longer than `starved_after`. Every holder is listed, the longest
first. A short wait on a busy pool is a number, not a finding.""",
    ("a leak: the longest holders then have findings of their own",
     "connections that are held while something else is waited for",
     "more work at once than the pool has connections"),
    options=("starved_after",),
    alerts=("PoolwatchPoolExhausted", "PoolwatchTimeouts"),
    example=Example(
        """\
def hold():
    with engine.connect():
        time.sleep(2)


def ask():
    time.sleep(0.3)
    try:
        engine.connect().close()
    except TimeoutError:
        pass


in_threads(hold, hold, ask)
""",
        """\
def hold():
    with engine.connect():
        time.sleep(0.2)


in_threads(hold, hold, hold)
""",
    ),
)  # fmt: skip

SELF_DEADLOCK = Kind(
    "starvation.self_deadlock",
    {"proved": ""},
    "the holders of a pool wait for the same pool",
    """\
The pool is full, and everybody who holds a connection waits for one more of it. The finding shows who holds and who
waits.""",
    ("a helper that takes a connection of its own while its caller holds one: audit logs, locks, id generators",),
    alerts=("PoolwatchPoolExhausted", "PoolwatchTimeouts"),
    example=Example(
        """\
both = threading.Barrier(2)


def transfer():
    with engine.connect():
        both.wait()
        try:
            engine.connect().close()
        except TimeoutError:
            pass


in_threads(transfer, transfer)
""",
        """\
both = threading.Barrier(2)


def transfer():
    with engine.connect() as connection:
        both.wait()
        connection.execute(ONE)  # the same one


in_threads(transfer, transfer)
""",
    ),
)

BLOCKED_LOOP = Kind(
    "starvation.blocked_loop",
    {"proved": ""},
    "a blocking wait for a sync pool on an event loop's thread",
    """\
A blocking wait for a sync pool runs on an event loop's thread: nothing else can run there meanwhile, and where the
holders are tasks of that loop, nobody can ever give a connection back.""",
    ("a sync engine in an `async def` handler",),
    options=("blocked_loop_after",),
    example=Example(
        """\
async def handler():
    with engine.connect() as connection:
        connection.execute(ONE)


def batch():
    with engine.connect(), engine.connect():
        held.set()
        time.sleep(0.6)


held = threading.Event()
worker = threading.Thread(target=batch)
worker.start()
held.wait()
asyncio.run(handler())
worker.join()
""",
        """\
def query():
    with engine.connect() as connection:
        connection.execute(ONE)


async def handler():
    await asyncio.to_thread(query)


asyncio.run(handler())
""",
    ),
)

FAMILY = Family("Starvation", (EXHAUSTED, SELF_DEADLOCK, BLOCKED_LOOP))
