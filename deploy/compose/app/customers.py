"""Customers of the shop: some requests a second until the end, so that there is something to see.

python customers.py http://app:8000
"""

from __future__ import annotations

import random
import sys
import threading
import time
from urllib.error import URLError
from urllib.request import Request, urlopen

CUSTOMERS = 4
PAUSE = 0.3
"""Seconds between two requests of a customer, about."""


def shop(url: str) -> None:
    """Look and order for ever; a shop that is closed or has trouble is asked again."""
    while True:
        request = Request(f"{url}/orders/{random.randrange(1000)}", method=random.choice(("GET", "GET", "POST")))
        try:
            urlopen(request, timeout=10).close()
        except (URLError, OSError):
            pass
        time.sleep(random.uniform(0, 2 * PAUSE))


if __name__ == "__main__":
    threads = [threading.Thread(target=shop, args=sys.argv[1:2], daemon=True) for _ in range(CUSTOMERS)]
    for thread in threads:
        thread.start()
    threads[0].join()
