"""Connections that are held without being used, for too long or ever more of them."""

from __future__ import annotations

from poolwatch.kinds.kind import Example, Family, Kind

IDLE_IN_TRANSACTION = Kind(
    "hold.idle_in_transaction",
    {"suspected": ""},
    "a transaction is open and nothing has run for too long",
    """\
A transaction is open and nothing has run in it for `idle_in_transaction_after`. It holds locks and keeps the server
from cleaning up.""",
    ("an HTTP call, or somebody's answer, between a `SELECT` and the `commit()`",),
    resolved="when something runs, the transaction ends, or the connection comes back",
    options=("idle_in_transaction_after",),
    alerts=("PoolwatchLeaseOverdue",),
    example=Example(
        """\
with engine.connect() as connection:
    connection.execute(text("CREATE TABLE IF NOT EXISTS o (n INTEGER)"))
    connection.execute(text("INSERT INTO o VALUES (1)"))
    time.sleep(1.5)  # the customer looks for the card
    connection.commit()
""",
        """\
with engine.connect() as connection:
    connection.execute(text("CREATE TABLE IF NOT EXISTS o (n INTEGER)"))
    connection.execute(text("INSERT INTO o VALUES (1)"))
    connection.commit()
    time.sleep(1.5)
""",
        "--idle-in-transaction-after 0.5",
    ),
)

IDLE = Kind(
    "hold.idle",
    {"suspected": ""},
    "a site holds its connections mostly without using them",
    """\
Over at least 20 leases a site held its connections one second or longer on average, and ran SQL for less than 5 % of
that time, where others lacked them: requests or jobs took them, of which there may be any number at once; or somebody
waited for the pool; or the site took the same ones again and again. Threads that keep a connection each for as long as
they live, from a pool that has enough for all, are no finding.""",
    ("a streaming response", "a call to another service inside the `with` block"),
    resolved="when the site's leases have become shorter or busier on average",
    example=Example(
        """\
engine = create_engine("sqlite:///shop.db", pool_size=10, max_overflow=0)


def stream():
    with engine.connect() as connection:
        connection.execute(ONE).all()
        time.sleep(1.1)


in_threads(*[stream] * 20)
""",
        """\
engine = create_engine("sqlite:///shop.db", pool_size=10, max_overflow=0)


def stream():
    with engine.connect() as connection:
        connection.execute(ONE).all()
    time.sleep(0.1)


in_threads(*[stream] * 20)
""",
    ),
)

RISING_FLOOR = Kind(
    "drift.rising_floor",
    {"suspected": ""},
    "the least number of connections in use keeps rising: a slow leak",
    """\
Ever more connections lie out unused: a slow leak. Load comes and goes, so the number in use says little. What lies out
and is used by nobody through a whole `floor_window` is the floor of a pool. The finding comes when the floor has risen
in `floor_steps` windows without falling in between, however long that took, by connections that were taken meanwhile.
It says how fast, when the pool will be dry, and at which lines they were taken.

More load does not raise the floor, nor do consumers that hold a connection each and use it. Many connections at once
raise it by one step.""",
    ("an error path that keeps the handle, once in a hundred requests",),
    resolved="when the floor falls",
    options=("floor_window", "floor_steps"),
    alerts=("PoolwatchPoolDrySoon",),
    example=Example(
        """\
engine = create_engine("sqlite:///shop.db", pool_size=20)


def request(number):
    connection = engine.connect()
    connection.execute(ONE).all()
    if number % 100 == 99:
        kept.append(connection)  # to be looked into
    else:
        connection.close()


for number in range(600):
    request(number)
    time.sleep(0.003)
""",
        """\
engine = create_engine("sqlite:///shop.db", pool_size=20)


def request(number):
    with engine.connect() as connection:
        connection.execute(ONE).all()
        if number % 100 == 99:
            kept.append(number)


for number in range(600):
    request(number)
    time.sleep(0.003)
""",
        "--interval 0.05 --floor-window 0.2 --floor-steps 3",
    ),
)

HOLDS = Family("Holds", (IDLE_IN_TRANSACTION, IDLE))
DRIFT = Family("Drift", (RISING_FLOOR,))
