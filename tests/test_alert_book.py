"""The book of alerts: what is told of a fault, when, and when not. Time is a parameter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from poolwatch.alert import book
from poolwatch.alert.alert import Alert, Origin
from poolwatch.alert.alerting import Alerting
from poolwatch.alert.book import SETTLE, Book
from poolwatch.alert.outbox import MOST, Board, Letters
from poolwatch.config import Config
from poolwatch.model import Site, plain
from tests.reports import finding

ORIGIN = Origin("shop", "web-1", "web-1:10")
NOON = 1_000_000.0


def made(**options: object) -> Book:
    return Book(Config.of(Config(), **options), ORIGIN)


def seen(of: Book, now: float, **changes: Any) -> list[str]:
    """Let a book see a finding, and give the states that are due then."""
    of.see(plain(finding(first_seen=NOON, **changes)), now)
    return [alert.state for alert in of.due(now)]


def resolved(**changes: Any) -> dict[str, Any]:
    return {"state": "resolved", "resolution": "returned after 73 s", **changes}


def test_opened_once_and_repeated_at_a_growing_interval() -> None:
    """A fault is told at once, then after 1, 3, 7, 15 intervals, and so on, a day apart at most."""
    a_book = made(alert_repeat=3600)
    told = [(hour, alert.state) for hour in range(100) for alert in _at(a_book, NOON + 3600 * hour)]
    hours = [0, 1, 3, 7, 15, 31, 55, 79]
    assert told == [(hour, "opened" if hour == 0 else "repeated") for hour in hours]


def _at(a_book: Book, now: float) -> list[Alert]:
    a_book.see(plain(finding(count=int(now))), now)
    return a_book.due(now)


def test_resolved_with_the_reason() -> None:
    """The end of a fault is told once, with why, under the id that it was opened with."""
    a_book = made()
    a_book.see(plain(finding()), NOON)
    (opened,) = a_book.due(NOON)
    a_book.see(plain(finding(**resolved())), NOON + 73)
    assert a_book.due(NOON + 73) == []
    (told,) = a_book.due(NOON + 73 + SETTLE)
    assert (told.state, told.id, told.number, told.at) == ("resolved", opened.id, 2, NOON + 73)
    assert "returned after 73 s" in told.text()
    assert a_book.due(NOON + 10_000) == []


def test_what_comes_and_goes_is_one_fault() -> None:
    """A fault that is gone for a moment only was never gone."""
    a_book = made()
    assert seen(a_book, NOON) == ["opened"]
    for second in range(1, 100, 2):
        assert seen(a_book, NOON + second, **resolved()) == []
        assert seen(a_book, NOON + second + 1) == []


def test_a_new_fault_of_the_same_place_has_a_new_id() -> None:
    """What opens again after it was told resolved is told again."""
    a_book = made()
    a_book.see(plain(finding()), NOON)
    (first,) = a_book.due(NOON)
    assert seen(a_book, NOON, **resolved()) == []
    assert [alert.state for alert in a_book.due(NOON + SETTLE)] == ["resolved"]
    a_book.see(plain(finding()), NOON + 60)
    (second,) = a_book.due(NOON + 60)
    assert (second.state, second.number) == ("opened", 1)
    assert second.id != first.id


def test_a_stronger_grade_is_told_at_once() -> None:
    """A suspicion that is proved later is told when it passes the option, and when it grows."""
    a_book = made(alert_grade="probable")
    assert seen(a_book, NOON, grade="suspected") == []
    assert seen(a_book, NOON + 1, grade="probable") == ["opened"]
    assert seen(a_book, NOON + 2, grade="proved") == ["stronger"]
    assert seen(a_book, NOON + 3, grade="proved") == []


@pytest.mark.parametrize(
    ("kinds", "sent"),
    [
        ("all", True),
        ("leak", True),
        ("leak.collected", True),
        ("crossing,leak.collected", True),
        ("leak.overdue", False),
    ],
)
def test_only_kinds_that_are_wanted(kinds: str, sent: bool) -> None:
    """A kind is sent where it, or its family, is named."""
    assert bool(seen(made(alert_kinds=kinds), NOON)) == sent


def test_one_fault_however_many_processes() -> None:
    """Findings of a whole report are faults by kind, pool and site; what is reported no more is resolved."""
    a_book = made()
    findings = [plain(finding(site=Site("a.py", line, "f"), pid=pid)) for line in (1, 2) for pid in (10, 11)]
    a_book.see_all(findings, NOON)
    assert [alert.state for alert in a_book.due(NOON)] == ["opened", "opened"]
    a_book.see_all(findings[:2], NOON + 1)
    (told,) = a_book.due(NOON + 1 + SETTLE)
    assert (told.state, told.finding["site"]["line"]) == ("resolved", 2)


def test_bounded() -> None:
    """Beyond a thousand faults the rest is dropped and counted."""
    a_book = made()
    a_book.see_all([plain(finding(pool=str(number))) for number in range(book.MOST + 5)], NOON)
    assert len(a_book.due(NOON)) == book.MOST
    assert a_book.dropped == 5


def test_goes_on_after_a_restart() -> None:
    """A book that was kept tells nothing twice."""
    before, after = made(), made()
    assert seen(before, NOON) == ["opened"]
    after.restore(before.to_json())
    assert seen(after, NOON + 1) == []
    assert seen(after, NOON + 2, **resolved()) == []
    assert [alert.state for alert in after.due(NOON + 2 + SETTLE)] == ["resolved"]


def test_silence(tmp_path: Path) -> None:
    """While silence reigns nothing is told; then, what is still so: not what opened and closed meanwhile."""
    told: list[dict[str, Any]] = []
    quiet = tmp_path / "maintenance"
    config = Config.of(Config(), alert_silence=str(quiet), alert=told.append)
    alerting = Alerting(config, "shop", "web-1")
    quiet.touch()
    alerting.book.see_all([plain(finding(pool="stays")), plain(finding(pool="goes"))], NOON)
    assert not alerting.send_due(NOON)
    alerting.book.see_all([plain(finding(pool="stays"))], NOON + 1)
    assert not alerting.send_due(NOON + 60)
    quiet.unlink()
    assert alerting.send_due(NOON + 61)
    alerting.close(None)
    assert [(alert["state"], alert["finding"]["pool"]) for alert in told] == [("opened", "stays")]


def test_silence_until() -> None:
    """A time ends the silence."""
    config = Config.of(Config(), alert_silence="2026-11-22T12:00Z", alert=print)
    alerting = Alerting(config, "shop", "web-1")
    noon = 1795348800.0
    alerting.book.see(plain(finding()), noon)
    assert [alerting.send_due(noon + second) for second in (-1, 1)] == [False, True]
    alerting.pause()


def alert(number: int = 1, state: str = "opened", id: str = "a", **changes: Any) -> Alert:
    return Alert(id, state, number, plain(finding(**changes)), NOON, NOON, ORIGIN)  # type: ignore[arg-type]


def test_letters_keep_their_order_and_a_limit() -> None:
    """Letters go oldest first, so many a minute; what is beyond waits, and a repeat of what waits is not sent."""
    box = Letters(limit=2)
    for number in (1, 2, 3):
        assert box.put(alert(id=str(number))) == 0
    box.put(alert(2, "repeated", id="3"))
    sent = []
    for now in (0.0, 1.0):
        assert box.due_in(now) == 0
        sent += box.batch()
        assert box.done(box.batch(), now) == 1
    assert box.due_in(2.0) == 58
    sent += box.batch()
    box.done(box.batch(), 60.0)
    assert box.due_in(60.0) is None
    assert [letter.id for letter in sent] == ["1", "2", "3"]


@pytest.mark.parametrize("box", [Letters(10), Board(60.0)], ids=["letters", "board"])
def test_outboxes_are_bounded(box: Letters | Board) -> None:
    """The oldest give way, and are counted."""
    assert sum(box.put(alert(id=str(number))) for number in range(MOST + 3)) == 3
    assert box.batch()[0].id == "3"


def test_board_shows_what_is_so() -> None:
    """What is open is shown again and again, what is over once, and what is news is counted once."""
    board = Board(refresh=60)
    board.put(alert())
    assert board.done(board.batch(), 0.0) == 1
    assert board.due_in(0.0) == 60
    assert board.done(board.batch(), 60.0) == 0
    board.put(alert(2, "resolved"))
    assert board.due_in(61.0) == 0
    assert [one.state for one in board.batch()] == ["resolved"]
    assert board.done(board.batch(), 61.0) == 1
    assert board.due_in(61.0) is None


def test_board_ends_the_weaker_grade() -> None:
    """A stronger grade is another alert for Alertmanager: the weaker one is resolved."""
    board = Board(refresh=60)
    board.put(alert(grade="probable"))
    board.done(board.batch(), 0.0)
    board.put(alert(2, "stronger", grade="proved"))
    assert [(one.finding["grade"], one.state) for one in board.batch()] == [
        ("probable", "resolved"),
        ("proved", "stronger"),
    ]


def test_board_shows_what_was_brief() -> None:
    """A fault that was over before Alertmanager could be reached is shown open once, or nobody would hear of it."""
    board = Board(refresh=60)
    board.put(alert())
    board.put(alert(2, "resolved"))
    assert [one.state for one in board.batch()] == ["opened"]
    board.done(board.batch(), 0.0)
    assert board.due_in(0.0) is None


def test_board_is_reminded_after_a_restart() -> None:
    """Alertmanager hears at once of what was open before a restart, and it is no news."""
    before, board = made(), Board(refresh=60)
    assert seen(before, NOON) == ["opened"]
    (again,) = before.open_ones()
    board.remind(again)
    assert board.due_in(1.0) == 0
    assert board.done(board.batch(), 1.0) == 0
    assert board.due_in(1.0) == 60


def test_text_is_for_people() -> None:
    """The text says what, where, who, since when and what to do, and no line can steer a terminal."""
    text = alert(summary="dropped\x1b[31m without\nbeing returned").text()
    assert text.splitlines()[0] == "leak.collected (proved) on pool shop of shop on web-1:10"
    for wanted in (
        "dropped?[31m without being returned",
        "/srv/shop/orders.py:42 take",
        "worker-1",
        "use a with block",
    ):
        assert wanted in text
    assert "RESOLVED" in alert(2, "resolved").headline()
    assert "STILL OPEN" in alert(2, "repeated").headline()
    assert "NOW PROVED" in alert(2, "stronger").headline()


def test_the_page_shows_what_is_sent() -> None:
    """The example of docs/alerts.md has the fields of a real alert, in their order."""
    page = (Path(__file__).parents[1] / "docs" / "alerts.md").read_text()
    example = page.partition("```json\n")[2].partition("```")[0]
    assert list(json.loads(example)) == list(alert().to_json())
