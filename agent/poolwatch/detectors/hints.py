"""What to do about each kind of finding: its likely cause and its cure, in a sentence or two.

Detectors take the hint of a finding from here; ``poolwatch explain`` and docs/findings.md show them all.
"""

from __future__ import annotations

HINTS: dict[str, dict[str, str]] = {
    "leak.collected": {
        "": "Give it back on every path: `with engine.connect() as connection:` or `with Session(engine) as session:`.",
        "task": "Give it back on every path: `async with`; the event loop must still run when it is closed.",
        "psycopg_pool": "Use `with pool.connection() as connection:`; what `getconn()` gave must go to `putconn()` in "
        "`finally`, and `with pool.getconn()` does not return it. The pool does not notice: this slot is lost for "
        "good.",
    },
    "leak.owner_ended": {
        "": "Return it before the {owner} ends: a `with` block around the work, or close it in `finally`.",
        "put back": "Put it back before the work ends, however that ends: `finally: queue.put(it)`.",
        "in a fiber": "Return it inside the block: poolwatch.fiber gives back what was forgotten, at its end and not "
        "before.",
    },
    "leak.scope_ended": {
        "": "Return it before the request, job or block ends: a `with` block around the work, or close it where the "
        "framework tears down (a dependency after `yield`, `teardown_appcontext`).",
    },
    "leak.process_ended": {
        "": "Close what is open when the program ends, and call engine.dispose() last.",
        "psycopg_pool": "Give back what is open when the program ends, and call pool.close() last.",
        "asyncpg": "Give back what is open when the program ends, and await pool.close() last.",
        "killed": "Find out what killed the process (SIGKILL, out of memory, os._exit, a crash); the server keeps its "
        "sessions and their locks until it notices.",
    },
    "leak.detached": {
        "": "After detach() the connection is yours: call close() on it, in a `finally` or a `with` block.",
    },
    "leak.overdue": {
        "": "If the work is over, return the connection; if it waits for something else, return it before that.",
    },
    "crossing.concurrent": {
        "": "A connection serves one thread or task at a time: give each its own from the pool.",
        "asyncpg": "A connection runs one operation at a time; the second one fails with 'another operation is in "
        "progress'. Let each task acquire its own from the pool.",
    },
    "crossing.interleaved": {
        "": "Two threads or tasks take turns on one connection: give each its own, or hand it over for good.",
        "psycopg_pool": "One works inside the transaction of the other: give each its own connection.",
    },
    "crossing.session": {
        "": "A Session is for one thread or task: make one per unit of work, or use scoped_session and remove().",
    },
    "crossing.process": {
        "": "Call engine.dispose(close=False) first thing in the child (os.register_at_fork, post_fork, worker init), "
        "or use NullPool, or open pools only there.",
        "psycopg_pool": "Open the pool in the child (post_fork, worker init), never before the fork: the threads that "
        "maintain it exist only in the parent, and its sockets are the parent's.",
        "asyncpg": "Create the pool in the child, never before the fork: its sockets are the parent's.",
    },
    "crossing.loop": {
        "": "An async pool belongs to one event loop: dispose() it before the loop ends, or make one per loop.",
        "psycopg_pool": "Open the pool on the loop that uses it (`async with pool:` inside asyncio.run, or the "
        "lifespan of the application) and close it there: elsewhere it can lend what is idle, but not grow.",
        "asyncpg": "Create the pool or connection on the loop that uses it, and close it there.",
    },
    "crossing.transport": {
        "": "A connected client serves one thread, task or loop: make one per thread or per request, or keep a queue "
        "of clients.",
    },
    "crossing.flow": {
        "": "Two flows of work use one connection: each must take its own.",
    },
    "crossing.route": {
        "": "The child did not inherit its parent's route: start it through poolwatch.inherit or set the route in it.",
    },
    "starvation.exhausted": {
        "": "Look at the longest holder first: return connections sooner, or raise pool_size + max_overflow to what "
        "runs at once.",
        "they come back": "No leak: connections come back, but the pool is too small for all who want one, and may "
        "serve late-comers first, as SQLAlchemy's does. Raise pool_size + max_overflow to what runs at once, or let "
        "fewer run at once.",
    },
    "starvation.self_deadlock": {
        "": "Take the second connection before the pool can be full of firsts: pass the one you hold along, or make "
        "the pool larger than the number of workers.",
    },
    "starvation.blocked_loop": {
        "": "Use an async engine, or move the blocking call off the loop with asyncio.to_thread.",
    },
    "hold.idle_in_transaction": {
        "": "Commit or roll back before waiting for anything else: an open transaction holds locks too.",
    },
    "hold.idle": {
        "": "Return the connection before streaming, calling another service or waiting: read what is needed first, "
        "then release it, and take another one afterwards.",
    },
    "drift.rising_floor": {
        "": "A path that is seldom taken keeps its connection (an early return, an exception, a cache): return it "
        "there too, in a `with` block or in `finally`.",
    },
    "orphan.socket": {
        "": "Something here connects by itself: a driver's connect(), or a pool of a library that poolwatch does not "
        "know. If it is meant so (LISTEN/NOTIFY, a migration), leave it; else take it from the pool, or close it.",
        "dead socket": "The server, or what is between, closes connections that the pool still keeps: let it test or "
        "recycle them (pool_pre_ping=True, or pool_recycle below the server's time limit; psycopg_pool: check=, "
        "max_idle).",
        "dead in use": "The server, or what is between, has closed a connection that somebody holds: the next "
        "statement fails. Look for a restart, a failover or a time limit for idle sessions, and return connections "
        "before a long pause.",
    },
    "capacity.oversubscribed": {
        "": "Make pools smaller or workers fewer, so that workers x (pool_size + max_overflow) fits, put a pooler such "
        "as PgBouncer between, or raise the server's max_connections.",
    },
}
"""For each kind the general hint, under ``""``, and those of cases (a library, an owner, how it came) that differ."""


def hint(kind: str, *cases: str) -> str:
    """Give the hint for ``kind``: that of the first of ``cases`` which has its own, else the general one."""
    hints = HINTS[kind]
    return next((hints[case] for case in cases if case in hints), hints[""])
