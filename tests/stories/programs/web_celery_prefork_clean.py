"""The same, but each worker process throws away, unclosed, what it has inherited before its first task."""

from __future__ import annotations

from celery.signals import worker_process_init
from web_celery_prefork import engine, work


@worker_process_init.connect
def begin_anew(**_: object) -> None:
    engine.dispose(close=False)


if __name__ == "__main__":
    work()
    print("done")
