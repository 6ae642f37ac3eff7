"""Makes the senders that the options ask for."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.alert.alertmanager import REFRESH, Alertmanager, api
from poolwatch.alert.function import Function
from poolwatch.alert.outbox import Board, Letters
from poolwatch.alert.post import Post
from poolwatch.alert.sender import Sender
from poolwatch.alert.webhook import Webhook, format_for
from poolwatch.config import Config
from poolwatch.config.values import Secret, headers, urls


def senders(config: Config) -> Iterator[Sender]:
    """Give one sender for each sink of the options."""
    of_webhooks = headers(_text(config.alert_headers))
    for url in urls(_text(config.alert_webhook)) if config.alert_webhook else ():
        post = Post(url, of_webhooks, config.alert_ca)
        format = format_for(post.place, config.alert_format)
        yield Sender(Webhook(post, format), Letters(config.alert_limit))
    for url in urls(_text(config.alert_alertmanager)) if config.alert_alertmanager else ():
        yield Sender(Alertmanager(Post(api(url), {}, config.alert_ca)), Board(REFRESH))
    if config.alert is not None:
        yield Sender(Function(config.alert), Letters(config.alert_limit))


def _text(secret: Secret | None) -> str:
    return secret.reveal() if secret else ""
