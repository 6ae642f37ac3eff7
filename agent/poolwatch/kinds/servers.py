"""What is between a program and its database server."""

from __future__ import annotations

from poolwatch.kinds.kind import Family, Kind

ORPHAN = Kind(
    "orphan.socket",
    {"probable": ""},
    "a connection to a pool's server that no pool accounts for, or a dead one in a pool",
    """\
The process has an established connection to a database server that one of its pools uses, and no pool accounts for it;
or a connection in a pool is dead, because the server has closed it (`CLOSE_WAIT`). One finding for each pool names the
sockets: file descriptor, own address, peer, state, inode, and since when it was seen.

A connection that died while it lay in its pool is none where the pool tests what it lends: SQLAlchemy's with
`pool_pre_ping`, psycopg_pool's with `check`, asyncpg's always. One that somebody holds is told of there too.

poolwatch looks every twenty intervals (five seconds), and says something when three looks in a row have seen the same.
It says nothing of sockets that were open before the watch or came over a fork, of a connect that a pool has begun and
not ended, of one taken out of its pool with `detach()` and kept, of servers that no pool uses, and of Unix sockets. As
long as it does not know the socket of some pooled connection, it says nothing new at all: that is so for drivers that
do not show it (known are psycopg, psycopg2, asyncpg, pymysql, aiomysql, asyncmy, mysqlclient and pg8000), and where a
hook is off or has failed. It needs Linux.""",
    ("a library or a thread that calls the driver's `connect()` itself",
     "a pool of a library that poolwatch does not know",
     "a server or proxy that closes idle connections earlier than the pool does",
     "it is meant so: a `LISTEN` connection, a migration"),
    resolved="when the socket is closed",
)  # fmt: skip

OVERSUBSCRIBED = Kind(
    "capacity.oversubscribed",
    {"suspected": ""},
    "all pools together may open more connections than the server allows",
    """\
The limits of all pools of all living processes together are more than their server allows (`max_connections`, less
what it keeps for administrators). On a busy day some worker will be refused a connection. Only
`poolwatch agent --server DSN` finds it.""",
    ("workers were added, and each brings a pool of its own", "`max_overflow` was forgotten in the sum"),
    resolved="when it is no longer so",
    pages={"The server's side": "agent.md#the-servers-side"},
)

FAMILY = Family("Sockets and servers", (ORPHAN, OVERSUBSCRIBED))
