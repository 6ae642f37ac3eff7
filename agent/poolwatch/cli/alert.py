"""``poolwatch alert test``: sends one alert to every sink and says what happened."""

from __future__ import annotations

import argparse
import socket
import time
import uuid
from time import monotonic
from typing import TYPE_CHECKING

from poolwatch import text
from poolwatch.cli import alerts, options
from poolwatch.errors import PoolwatchError

if TYPE_CHECKING:
    from poolwatch.alert.alert import Alert
    from poolwatch.alert.sender import Sender
    from poolwatch.config import Config

HELP = "send a test alert to every webhook and Alertmanager, and say what happened"
EPILOG = """\
examples:
  poolwatch alert test --alert-webhook @/etc/shop/webhook
  POOLWATCH_ALERT_ALERTMANAGER=http://127.0.0.1:9093 poolwatch alert test

Sinks are those of the POOLWATCH_ALERT_* variables and of the flags. What is secret goes into a file or a variable: a
command line is seen by everybody on the machine. Exit status: 0 where every sink has taken the alert, else 1.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``alert``."""
    parser.epilog = EPILOG
    parser.add_argument("action", choices=("test",), help="what to do: test")
    options.add_arguments(parser, alerts.NAMES)


def run(args: argparse.Namespace) -> int:
    """Send to each sink in turn; gives 0 where all took it, else 1."""
    from poolwatch.alert.sinks import senders

    config = options.read(args, alerts.NAMES)
    found = list(senders(config))
    if not found:
        raise PoolwatchError("no sink; use --alert-webhook, --alert-alertmanager, or their POOLWATCH_* variables")
    alert = _alert(config)
    outcomes = [_taken(sender, alert) for sender in found]
    return 0 if all(outcomes) else 1


def _taken(sender: Sender, alert: Alert) -> bool:
    from poolwatch.alert.sink import Failure

    began = monotonic()
    try:
        sender.sink.send([alert])
    except Failure as failure:
        outcome, taken = f"FAILED: {failure}", False
    else:
        outcome, taken = "sent", True
    print(text.clean(f"{sender.sink.kind} {sender.sink.place}: {outcome} ({monotonic() - began:.2f} s)"), flush=True)
    return taken


def _alert(config: Config) -> Alert:
    from poolwatch.alert.alert import Alert, Origin
    from poolwatch.model import Finding, plain

    now = time.time()
    host = socket.gethostname()
    origin = Origin(config.alert_name or "poolwatch", host, host)
    finding = Finding(
        "leak.collected",
        "proved",
        "test",
        "",
        "This is a test. If you can read it, alerts of poolwatch reach you.",
        "nothing: somebody has run poolwatch alert test",
        id="test",
        first_seen=now,
        last_seen=now,
    )
    return Alert(uuid.uuid4().hex, "opened", 1, plain(finding), now, now, origin, test=True)
