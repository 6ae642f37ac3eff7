"""An engine with every option that SQLAlchemy's documentation shows, and one made from a configuration."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, engine_from_config, text
from sqlalchemy.pool import QueuePool

url = os.environ["STORY_URL"]
full = create_engine(
    url,
    echo=False,
    echo_pool=False,
    hide_parameters=True,
    logging_name="shop",
    pool_logging_name="shop",
    query_cache_size=50,
    execution_options={"yield_per": 10},
    connect_args={},
    poolclass=QueuePool,
    pool_size=2,
    max_overflow=1,
    pool_timeout=3,
    pool_recycle=3600,
    pool_pre_ping=True,
    pool_reset_on_return="rollback",
    pool_use_lifo=True,
)
configured = engine_from_config({"sqlalchemy.url": url, "sqlalchemy.echo": "false"})
for engine in (full, configured, full.execution_options(isolation_level="SERIALIZABLE")):
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
    assert "Pool size" in engine.pool.status() and engine.logging_name in ("shop", None)
print("done")
