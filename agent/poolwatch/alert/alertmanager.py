"""Alertmanager: what is open is posted to its API v2 every minute, and expires there if poolwatch dies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import time

from poolwatch.alert.alert import Alert, iso
from poolwatch.alert.post import Post
from poolwatch.model import Json
from poolwatch.report.merge import finding_key

NAME = "PoolwatchFinding"
"""The alertname of all; routes and inhibitions tell them apart by ``kind`` and ``severity``."""
REFRESH = 60.0
"""Seconds between two posts of what is open."""
EXPIRY = 300.0
"""Seconds after which Alertmanager takes for resolved what is not posted again."""


class Alertmanager:
    """A sink that posts all it is given at once."""

    kind = "alertmanager"
    is_hosts = False

    def __init__(self, post: Post) -> None:
        self._post = post
        self.place = post.place

    def send(self, alerts: Sequence[Alert]) -> None:
        """Post them; raises Failure."""
        now = time()
        self._post.send(json.dumps([posted(alert, now) for alert in alerts]).encode(), Content_Type="application/json")

    def abort(self) -> None:
        """Let a request that is under way fail."""
        self._post.abort()


def posted(alert: Alert, now: float) -> Json:
    """Give an alert of the API; its labels stay the same while grade and place do."""
    found = alert.finding
    _, pool, _ = finding_key(found)  # not found["pool"], which may be one twin now and another later
    labels = {
        "alertname": NAME,
        "severity": alert.severity,
        "job": alert.origin.name,
        "instance": alert.origin.instance,
        "kind": found["kind"],
        "grade": found["grade"],
        "pool": pool,
        "site": alert.site,
        "test": "true" if alert.test else "",
    }
    ends_at = max(alert.at, alert.opened_at) if alert.state == "resolved" else now + EXPIRY
    summary, *description = alert.text().splitlines()
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {"summary": summary, "description": "\n".join(description)},
        "startsAt": iso(alert.opened_at),
        "endsAt": iso(ends_at),
    }


def api(url: str) -> str:
    """Give the address of the API of an Alertmanager at ``url``."""
    base, mark, query = url.partition("?")
    base = base.rstrip("/").removesuffix("/api/v2/alerts")
    return f"{base}/api/v2/alerts{mark}{query}"
