"""Webhooks: each alert is one POST, as JSON or as a message that Slack and its likes show."""

from __future__ import annotations

import json
from collections.abc import Sequence

from poolwatch.alert.alert import Alert
from poolwatch.alert.post import Post
from poolwatch.model import Json

_SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")


class Webhook:
    """A sink that posts; what it posts is told apart by the header Idempotency-Key."""

    kind = "webhook"
    is_hosts = False

    def __init__(self, post: Post, format: str) -> None:
        self._post = post
        self._format = format
        self.place = post.place

    def send(self, alerts: Sequence[Alert]) -> None:
        """Post each; raises Failure."""
        for alert in alerts:
            shown = slack(alert) if self._format == "slack" else alert.to_json()
            self._post.send(json.dumps(shown).encode(), Content_Type="application/json", Idempotency_Key=alert.key)

    def abort(self) -> None:
        """Let a request that is under way fail."""
        self._post.abort()


def format_for(place: str, chosen: str) -> str:
    """Give the format that was chosen, or the one that a host understands."""
    by_host = "slack" if place.partition(":")[0] in _SLACK_HOSTS else "json"
    return by_host if chosen == "auto" else chosen


def slack(alert: Alert) -> Json:
    """Give a message as Slack's incoming webhooks take it; Mattermost, Rocket.Chat and Discord's /slack do too."""
    lines = [f"*{_escaped(alert.headline())}*", *map(_escaped, alert.details())]
    return {"text": "\n".join(lines)}


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
