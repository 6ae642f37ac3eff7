"""The same Celery tasks in a pool of threads."""

from __future__ import annotations

from web_celery_clean import work

if __name__ == "__main__":
    work("threads", 10)
    print("done")
