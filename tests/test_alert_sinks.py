"""The sinks against a real server that treats them badly: nothing is lost, nothing sent twice, nothing secret shown."""

from __future__ import annotations

import json
import logging
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, InvalidURL
from pathlib import Path
from typing import Any

import pytest

from poolwatch.alert import post
from poolwatch.alert.alert import Alert, Origin
from poolwatch.alert.alertmanager import Alertmanager, api, posted
from poolwatch.alert.function import Function
from poolwatch.alert.outbox import Board, Letters
from poolwatch.alert.post import Post
from poolwatch.alert.sender import Sender
from poolwatch.alert.sink import Failure
from poolwatch.alert.sinks import senders
from poolwatch.alert.webhook import Webhook, format_for, slack
from poolwatch.config import Config, from_environment, to_environment
from poolwatch.errors import ConfigError
from poolwatch.model import plain
from tests.receiver import PATIENCE, Receiver, receiving
from tests.reports import finding
from tests.servers.base import HOST, free_port

ORIGIN = Origin("shop", "web-1", "web-1:10")
TOKEN = "T0PSECRET/x"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def alert(number: int = 1, state: str = "opened", **changes: Any) -> Alert:
    return Alert(f"fault-{number}", state, 1, plain(finding(**changes)), 1000.0, 1000.0, ORIGIN)  # type: ignore[arg-type]


@contextmanager
def sending(url: str, **options: Any) -> Iterator[Sender]:
    """Give a sender to a webhook that tries again soon."""
    sender = Sender(Webhook(Post(url, {}), "json"), Letters(options.pop("limit", 1000)), first_retry=0.02)
    try:
        yield sender
    finally:
        sender.stop()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def put(sender: Sender, *alerts: Alert) -> None:
    for one in alerts:
        sender.put(one)
    sender.wake()


BAD = (
    "reset",
    "silent",
    "nonsense",
    "500",
    "503",
    "429 Retry-After: 0",
    "404",
    "302 Location: http://localhost:1/",
    "flood",
)


@pytest.mark.parametrize("manner", BAD)
def test_nothing_lost_and_nothing_twice(manner: str, receiver: Receiver) -> None:
    """What a bad sink does not take is sent again, in order, until it is taken once."""
    receiver.treat(manner, "take", manner, manner)
    with sending(receiver.url) as sender:
        put(sender, alert(1), alert(2), alert(3))
        until(lambda: len(receiver.taken) == 3)
        until(lambda: sender.counts["sent"] == 3)
    assert [body["id"] for body in receiver.taken] == ["fault-1", "fault-2", "fault-3"]
    assert len(receiver.requests) == 6
    assert (sender.counts["failed"], sender.counts["dropped"]) == (3, 0)


@pytest.mark.parametrize("manner", ["hang", "drip"])
def test_a_sink_that_hangs(manner: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange has a deadline, also where bytes keep coming; whoever puts or stops does not wait for it."""
    monkeypatch.setattr(post, "TIMEOUT", 1.5)  # the next exchange must be quicker, however busy the machine is
    receiver.treat(manner)
    with sending(receiver.url) as sender:
        began = time.monotonic()
        put(sender, alert())
        assert time.monotonic() - began < 0.2
        until(lambda: receiver.taken)
    first, second = (at for at, *_ in receiver.requests)
    assert second - first < 10, "a hundred lines, dripping, take 20 s"
    monkeypatch.setattr(post, "TIMEOUT", 8.0)
    receiver.treat("hang")
    put(sender, alert(2))
    until(lambda: len(receiver.requests) == 3)
    began = time.monotonic()
    sender.stop()
    assert time.monotonic() - began < 5
    assert sender.counts["failed"] == 1, "what we cut off ourselves is no failure"
    until(lambda: put(sender) or len(receiver.taken) == 2)
    sender.stop()


def test_a_sink_that_is_down_and_comes_back() -> None:
    """Nobody listens, then somebody does."""
    port = free_port()
    with sending(f"http://{HOST}:{port}/") as sender:
        put(sender, *map(alert, range(20)))
        until(lambda: sender.counts["failed"] >= 3)
        with receiving(port) as receiver:
            until(lambda: len(receiver.taken) == 20)
        assert [body["id"] for body in receiver.taken] == [f"fault-{number}" for number in range(20)]
    assert sender.counts["dropped"] == 0


def test_retry_after_is_honoured(receiver: Receiver) -> None:
    """A sink that asks for a second gets it; the backoff alone would be far shorter."""
    receiver.treat("429 Retry-After: 1")
    with sending(receiver.url) as sender:
        put(sender, alert())
        until(lambda: receiver.taken)
    first, second = (at for at, *_ in receiver.requests)
    assert second - first >= 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("7", 7), ("999999", 3600), ("Sun, 22 Nov 2020 10:00:00 GMT", 0), ("soon", None), ("-1", None), (None, None)],
)
def test_retry_after_is_read(given: str | None, seconds: float | None) -> None:
    """Seconds or a date, an hour at most; nonsense counts as absent."""
    assert post._seconds(given) == seconds


def test_a_message_that_is_refused_is_dropped(receiver: Receiver) -> None:
    """What a sink finds wrong with one message does not hold up the next."""
    receiver.treat("400")
    with sending(receiver.url) as sender:
        put(sender, alert(1), alert(2))
        until(lambda: receiver.taken)
        until(lambda: sender.counts["sent"])
    assert [body["id"] for body in receiver.taken] == ["fault-2"]
    assert (sender.counts["dropped"], sender.counts["failed"]) == (1, 1)


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    """A redirect is a failure, whatever it points at, and the error says so."""
    with receiving() as other:
        receiver.treat(f"307 Location: {other.url}")
        with pytest.raises(Failure, match="307 Temporary Redirect, and redirects are not followed"):
            Post(receiver.url, {}).send(b"{}")
        assert other.requests == []


def test_the_backoff_grows(receiver: Receiver) -> None:
    """A sink that stays down is asked less and less often."""
    receiver.treat(*["500"] * 7)
    with sending(receiver.url) as sender:
        put(sender, alert())
        until(lambda: receiver.taken)
    times = [at for at, *_ in receiver.requests]
    assert times[-1] - times[-2] >= 0.5 * 0.02 * 2**6
    assert sender.counts["failed"] == 7


def test_a_last_chance_is_bounded(receiver: Receiver) -> None:
    """At the end all that waits is sent without pauses; with a sink that hangs it ends all the same."""
    with sending(receiver.url, limit=1) as sender:
        put(sender, *map(alert, range(5)))
        until(lambda: receiver.taken)
        assert len(receiver.taken) == 1
        sender.begin_last()
        sender.finish_last(time.monotonic() + PATIENCE)
    assert len(receiver.taken) == 5
    receiver.treat("hang")
    with sending(receiver.url) as sender:
        put(sender, alert())
        sender.begin_last()
        began = time.monotonic()
        sender.finish_last(time.monotonic() + 0.3)
        assert 0.2 < time.monotonic() - began < 5


def test_a_function_that_raises() -> None:
    """What an application's function raises, even to exit, is a failure; it is called again."""
    calls: list[dict[str, Any]] = []

    def tell(message: dict[str, Any]) -> None:
        calls.append(message)
        if len(calls) == 1:
            raise SystemExit("secret")

    sender = Sender(Function(tell), Letters(10), first_retry=0.02)
    put(sender, alert())
    until(lambda: len(calls) == 2)
    until(lambda: sender.counts["sent"] == 1)
    sender.stop()
    assert calls[0]["finding"]["kind"] == "leak.collected"


def test_no_thread_while_there_is_nothing_to_send(receiver: Receiver) -> None:
    """The thread ends when all is sent, and comes again."""
    with sending(receiver.url) as sender:
        for number in (1, 2):
            put(sender, alert(number))
            until(lambda: not sender._running)
            assert len(receiver.taken) == number


def test_webhook_message(receiver: Receiver) -> None:
    """A webhook gets JSON with text for people, the whole finding, and a key that tells messages apart."""
    Webhook(Post(receiver.url.replace("//", "//me:it%20is@"), {"X-Team": "shop"}), "json").send([alert()])
    (_, path, headers, body), *_ = receiver.requests
    assert path == "/hook"
    assert headers["Idempotency-Key"] == "fault-1:1"
    assert headers["X-Team"] == "shop"
    assert headers["Authorization"] == "Basic bWU6aXQgaXM="
    assert body["finding"] == json.loads(json.dumps(plain(finding())))
    assert body["text"].startswith("leak.collected (proved) on pool shop")
    assert (body["state"], body["severity"], body["name"], body["opened_at"]) == (
        "opened", "critical", "shop", "1970-01-01T00:16:40.000Z",
    )  # fmt: skip


def test_an_empty_answer_is_one(receiver: Receiver) -> None:
    """A sink need not say anything."""
    receiver.treat("empty")
    Post(receiver.url, {}).send(b"{}")
    assert receiver.taken == [{}]


def test_slack_message() -> None:
    """Slack gets text in which nothing is taken for a link or a mention."""
    message = slack(alert(summary="<!channel> & <http://evil>"))
    assert message.keys() == {"text"}
    assert "&lt;!channel&gt; &amp; &lt;http://evil&gt;" in message["text"]
    assert message["text"].startswith("*leak.collected (proved) on pool shop")


@pytest.mark.parametrize(
    ("place", "chosen", "format"),
    [
        ("hooks.slack.com", "auto", "slack"),
        ("hooks.slack.com", "json", "json"),
        ("shop.example:8080", "auto", "json"),
        ("shop.example", "slack", "slack"),
    ],
)
def test_format(place: str, chosen: str, format: str) -> None:
    """The host decides, where the option does not."""
    assert format_for(place, chosen) == format


def test_alertmanager_message(receiver: Receiver) -> None:
    """Alertmanager gets all at once; open ones end in the future, resolved ones when they did."""
    sender = Sender(Alertmanager(Post(api(receiver.url), {})), Board(60.0))
    put(sender, alert())
    until(lambda: sender.counts["sent"] == 1)
    sender.stop()
    ((_, path, _, body),) = receiver.requests
    assert path == "/hook/api/v2/alerts"
    labels = {
        "alertname": "PoolwatchFinding", "severity": "critical", "job": "shop", "instance": "web-1:10",
        "kind": "leak.collected", "grade": "proved", "pool": "shop", "site": "/srv/shop/orders.py:42 take",
    }  # fmt: skip
    assert body[0]["labels"] == labels
    now = 2000.0
    assert posted(alert(), now)["endsAt"] == "1970-01-01T00:38:20.000Z"
    assert posted(alert(state="resolved"), now)["endsAt"] == "1970-01-01T00:16:40.000Z"


def test_what_is_open_is_not_posted_again_at_the_end(receiver: Receiver) -> None:
    """The last chance is for what Alertmanager has not taken; what it has taken expires there."""
    sender = Sender(Alertmanager(Post(api(receiver.url), {})), Board(60.0))
    put(sender, alert())
    until(lambda: sender.counts["sent"] == 1)
    sender.begin_last()
    sender.finish_last(time.monotonic() + PATIENCE)
    assert len(receiver.requests) == 1


def _secrets(tmp_path: Path, url: str) -> dict[str, Any]:
    for name, text in {"url": url, "headers": f"Authorization: Bearer {TOKEN}\nX-Key: {TOKEN}"}.items():
        (tmp_path / name).write_text(text)
    return {"alert_webhook": f"@{tmp_path / 'url'}", "alert_headers": f"@{tmp_path / 'headers'}"}


def test_secrets_arrive_and_show_nowhere(tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """A token in a file reaches the sink, and no repr, log line, error, traceback or environment of a child."""
    given = _secrets(tmp_path, f"http://me:{TOKEN.replace('/', '')}@{HOST}:{receiver.port}/{TOKEN}?key={TOKEN}")
    config = Config.of(Config(), **given)
    (sender,) = senders(config)
    receiver.treat("nonsense", "500")
    with caplog.at_level(logging.DEBUG), pytest.raises(Failure) as caught:
        sender.sink.send([alert()])
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if "poolwatch" in frame.filename and "tests" not in frame.filename]
    put(sender, alert())
    until(lambda: sender.counts["failed"])
    sender.stop()
    shown = [repr(config), repr(config.alert_webhook), caplog.text, str(caught.value), str(to_environment(config))]
    shown += [repr(vars(sender)), repr(sender.sink), sender.sink.place, repr(sender.counts), _plain_trace(caught.value)]
    shown += [str(frame.locals) for frame in ours]
    assert receiver.requests[0][1] == f"/{TOKEN}?key={TOKEN}"
    assert receiver.requests[0][2]["X-Key"] == TOKEN
    assert "alerts cannot be sent to webhook" in caplog.text
    assert [text for text in shown if "T0PSECRET" in text] == []
    assert "answer is no HTTP" in str(caught.value)
    assert ours


def _plain_trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "error",
    [
        InvalidURL(f"URL can't contain /{TOKEN}"),
        BadStatusLine(TOKEN),
        OSError(TOKEN),
        ValueError(f"Invalid header value {TOKEN}"),
        UnicodeEncodeError("ascii", TOKEN, 0, 1, "no"),
        ssl.SSLError(TOKEN),
    ],
)
def test_reasons_quote_nothing(error: Exception) -> None:
    """What a library says of a failure is not repeated: it may quote a URL, a header or an answer."""
    assert post.reason(error)
    assert "T0PSECRET" not in post.reason(error)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("alert_webhook", f"ftp://{TOKEN}"),
        ("alert_webhook", f"http://h/{TOKEN} http://:80/"),
        ("alert_webhook", f"http://h/{TOKEN}\x07"),
        ("alert_alertmanager", f"http://h:99999/{TOKEN}"),
        ("alert_headers", f"Authorization {TOKEN}"),
        ("alert_headers", f"Host: {TOKEN}"),
    ],
)
def test_bad_secrets_are_refused_and_not_shown(option: str, value: str) -> None:
    """The error names the option and what is allowed, and hides the value, also in its chain."""
    with pytest.raises(ConfigError, match=f"'{option}': '\\(hidden\\)' is not allowed; use ") as caught:
        Config.of(Config(), **{option: value})
    error: BaseException | None = caught.value
    assert error.__cause__ is error.__context__ is None
    with pytest.raises(ConfigError):
        from_environment({f"POOLWATCH_{option.upper()}": value})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The path of a file is no secret."""
    with pytest.raises(ConfigError, match=f"'alert_webhook': '@{tmp_path}/nope' is not allowed; use URLs .* readable"):
        Config.of(Config(), alert_webhook=f"@{tmp_path}/nope")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of our own for the loopback address, and another one."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "theirs"):
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        words += ["-addext", f"subjectAltName=IP:{HOST}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder


def _tls(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ours.pem", folder / "ours.key")
    return context


def test_tls(certificates: Path) -> None:
    """A sink with a certificate that is trusted gets alerts; another one, or one of another name, does not."""
    with receiving(tls=_tls(certificates)) as receiver:
        Webhook(Post(receiver.url, {}, str(certificates / "ours.pem")), "json").send([alert()])
        assert receiver.taken[0]["id"] == "fault-1"
        for url, ca in ((receiver.url, "theirs.pem"), (receiver.url.replace(HOST, "localhost"), "ours.pem")):
            with pytest.raises(Failure, match="its certificate is not trusted"):
                Post(url, {}, str(certificates / ca)).send(b"{}")
        with pytest.raises(Failure, match="its certificate is not trusted"):
            Post(receiver.url, {}).send(b"{}")
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("first", ["gevent", "poolwatch"])
def test_under_gevent(first: str, certificates: Path) -> None:
    """A patched program sends over plain sockets and TLS from a real thread, and its greenlets go on meanwhile."""
    program = """
import sys
if sys.argv[1] == "gevent":
    from gevent import monkey; monkey.patch_all()
from poolwatch.alert.outbox import Letters
from poolwatch.alert.post import Post
from poolwatch.alert.sender import Sender
from poolwatch.alert.webhook import Webhook
if sys.argv[1] != "gevent":
    from gevent import monkey; monkey.patch_all()
import gevent, json
from tests.test_alert_sinks import alert
senders = [Sender(Webhook(Post(url, {}, sys.argv[4]), "json"), Letters(9)) for url in sys.argv[2:4]]
for sender in senders:
    sender.put(alert())
    sender.wake()
turns = 0
while not all(sender.counts["sent"] for sender in senders):
    gevent.sleep(0.005)
    turns += 1
    assert turns < 4000
assert turns > 10, turns
"""
    with receiving(manners=["slow"]) as plain, receiving(tls=_tls(certificates), manners=["slow"]) as encrypted:
        words = [sys.executable, "-c", program, first, plain.url, encrypted.url, str(certificates / "ours.pem")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[1])
        assert done.returncode == 0, done.stderr
        assert [len(plain.taken), len(encrypted.taken)] == [1, 1]


def test_who_holds_and_who_waits_is_told() -> None:
    """Whoever is paged for an exhausted pool reads who holds its connections, longest first, and who waits."""
    people = [{"owner": f"thread {n}", "age_seconds": n, "waited_seconds": n, "site": f"shop.py:{n} f"} for n in (1, 2)]
    lines = alert(kind="starvation.exhausted", lease={"holders": people, "waiters": people}).text().splitlines()
    assert [line for line in lines if line.startswith(("Held by", "Waiting"))] == [
        "Held by: thread 2, for 2 s, from shop.py:2 f",
        "Held by: thread 1, for 1 s, from shop.py:1 f",
        "Waiting: thread 2, for 2 s, at shop.py:2 f",
        "Waiting: thread 1, for 1 s, at shop.py:1 f",
    ]
