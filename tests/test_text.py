"""The text report: the worst first, one screen each, and nothing in it steers a terminal."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import pytest

from poolwatch import text
from poolwatch.collecting.ended import with_ended
from poolwatch.config import Config
from poolwatch.model import Frame, Owner, Site
from poolwatch.text.finding import LINES
from poolwatch.text.words import WIDTH, duration, fact
from tests.reports import finding, report


def _blocks(rendered: str) -> list[list[str]]:
    return [("== " + part).splitlines() for part in rendered.split("\n== ")[1:]]


def test_finding_says_what_a_maintainer_asks_next() -> None:
    """Kind and grade, summary, site, owner, times, lease, pool, stack and remedy are all there."""
    rendered = text.render(report(finding()))
    for part in (
        "== LEAK.COLLECTED -- proved", "dropped without being returned", "Where       /srv/shop/orders.py:42 take",
        "thread worker-1 (pid 10), ended", "1 min 40 s before this report", "held 1 min 13 s, idle 1 min 10 s",
        "2 statements", "select ?", "QueuePool, at most 15, waits 30 s", "/srv/shop/app.py:7 main",
        "(+ 1 frame of flask)", "Fix:        use a with block",
        "1 process, 1 pool, 7 leases, 1 finding (1 proved)",
    ):  # fmt: skip
        assert part in rendered


def test_worst_comes_first() -> None:
    """Grade, then kind, then count; what is resolved comes last."""
    items = [
        finding(kind="leak.overdue", grade="suspected"),
        finding(kind="leak.collected", state="resolved", resolution="returned after 73 s"),
        finding(kind="leak.collected", count=2),
        finding(kind="leak.collected", count=9),
        finding(kind="leak.owner_ended", grade="probable"),
        finding(kind="crossing.process"),
    ]
    heads = [block[0] for block in _blocks(text.render(report(*items)))]
    assert heads == [
        "== CROSSING.PROCESS -- proved",
        "== LEAK.COLLECTED x 9 -- proved",
        "== LEAK.COLLECTED x 2 -- proved",
        "== LEAK.OWNER_ENDED -- probable",
        "== LEAK.OVERDUE -- suspected",
        "== LEAK.COLLECTED -- proved, resolved: returned after 73 s",
    ]


def _monstrous() -> Any:
    long = "word " * 300 + "x" * 500
    frames = tuple(Frame(f"/srv/{'deep/' * 40}{n}.py", n, "f" * 200) for n in range(128))
    people = [{"owner": long, "age_seconds": 1.0, "waited_seconds": 1.0, "site": long}] * 100
    lists = {"holders": people, "waiters": people}
    numbers = {f"fact_{n}": n for n in range(1, 200)}
    return finding(
        summary=long,
        hint=long,
        owners=tuple(Owner(n, "t" * 200, task="k" * 200) for n in range(100)),
        stacks={name: frames[n:] for n, name in enumerate(("checkout", "last_use", "current", "release"))},
        site=Site("/srv/" + "deep/" * 100, 1, "f" * 300),
        retained_by=(long,) * 20,
        lease={"last_statement": "select " + long, "age_seconds": 1e9, **numbers, **lists},
        pool="p" * 300,
    )


def test_monstrous_finding_fits_on_a_screen() -> None:
    """Whatever a finding carries, it takes at most 24 lines of 100 columns."""
    rendered = text.render(report(_monstrous(), finding()))
    assert max(len(line) for line in rendered.splitlines()) <= WIDTH
    assert all(len([line for line in block if line]) <= LINES + 2 for block in _blocks(rendered))
    assert len(_blocks(rendered)[0]) <= LINES + 1
    assert "Fix:" in rendered


def test_report_into_a_pipe_that_has_no_place() -> None:
    """What the shell gives as ``>(command)``, a pipe that is only a number, is a target and is written into."""
    reading, writing = os.pipe()
    target = Config.of(Config(), report=f"/dev/fd/{writing}").report
    text.write(report(), target)
    os.close(writing)
    with open(reading) as pipe:
        assert pipe.read().startswith("poolwatch report")


def test_nothing_steers_the_terminal() -> None:
    """Control characters of a hostile report do not come out, in colour or not."""
    evil = "\x1b]0;owned\x07\x1b[2J\r\n\u202eevil\x9b1m"
    item = finding(summary=evil, hint=evil, kind=evil, owners=(Owner(1, evil),), resolution=evil, retained_by=(evil,))
    spoiled = report(item)
    spoiled["processes"][0]["argv"] = [evil]
    spoiled["pools"][0]["name"] = evil
    for colour in (False, True):
        rendered = re.sub(r"\x1b\[[0-9;]*m", "", text.render(spoiled, colour=colour))
        assert all(character.isprintable() or character == "\n" for character in rendered)


def test_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours need a terminal, and NO_COLOR turns them off."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert text.colour_on(Terminal())
    assert not text.colour_on(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not text.colour_on(Terminal())
    assert "\x1b[" in text.render(report(finding()), colour=True)
    assert "\x1b[" not in text.render(report(finding()))


def test_source_line_and_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of the site is shown where it can be read, and paths are short below the current folder."""
    (tmp_path / "orders.py").write_text("import this\nconnection = engine.connect()\n")
    monkeypatch.chdir(tmp_path)
    rendered = text.render(report(finding(site=Site(str(tmp_path / "orders.py"), 2, "take"))))
    assert "Where       orders.py:2 take\n            > connection = engine.connect()\n" in rendered


def test_empty_report() -> None:
    """A report without findings is its head alone."""
    assert "no findings" in text.render(report())
    assert "Where next" not in text.render(report())


HOLDERS = [
    {"owner": f"thread worker-{age} (pid 10)", "age_seconds": float(age), "site": f"/srv/shop/held.py:{age} hold"}
    for age in range(3, 9)
]


def _starved(**lease: Any) -> list[str]:
    (block,) = _blocks(text.render(report(finding(kind="starvation.exhausted", lease=lease, stacks={}))))
    return block


def test_who_holds_and_who_waits() -> None:
    """An exhausted pool's holders and waiters are listed, four each, the longest first, and none of them twice."""
    gone = {**HOLDERS[-1], "scope": "GET /orders", "alive": False}
    waiters = [
        {"owner": f"task {n}", "waited_seconds": n / 2, "site": f"/srv/shop/ask.py:{n} ask", "timed_out": n == 2}
        for n in (1, 2)
    ]
    block = "\n".join(_starved(holders=[*HOLDERS[:-1], gone], waiters=waiters))
    listed = """\
Held by     thread worker-8 (pid 10), in GET /orders, ended, for 8 s, from /srv/shop/held.py:8 hold
            thread worker-7 (pid 10), for 7 s, from /srv/shop/held.py:7 hold
            thread worker-6 (pid 10), for 6 s, from /srv/shop/held.py:6 hold
            thread worker-5 (pid 10), for 5 s, from /srv/shop/held.py:5 hold
            ... and 2 more
Waiting     task 2, for 1 s, timed out, at /srv/shop/ask.py:2 ask
            task 1, for 0.5 s, at /srv/shop/ask.py:1 ask
"""
    assert listed in block
    assert "Who  " not in block


def test_a_long_name_leaves_room_for_the_site() -> None:
    """What is to be changed is the line that holds or waits: the name beside it is cut first."""
    long = {"owner": "task " + "o" * 200, "age_seconds": 1.0, "site": "/srv/" + "deep/" * 8 + "held.py:7 hold"}
    deeper = {**long, "site": "/srv/" + "deep/" * 80 + "held.py:8 hold"}
    lines = [line for line in _starved(holders=[long], waiters=[{**deeper, "waited_seconds": 1.0}]) if "hold" in line]
    assert [line.rpartition("/")[2] for line in lines] == ["held.py:7 hold", "held.py:8 hold"]
    assert all("task ooo" in line and len(line) <= WIDTH for line in lines)


@pytest.mark.parametrize("strange", [7, "x", [7], [{}], [{"age_seconds": "long", "owner": None}], {"a": 1}])
def test_strange_lists_of_people(strange: Any) -> None:
    """A report of others may have anything in it."""
    assert _starved(holders=strange, waiters=strange)


def test_failures_of_ours_are_said() -> None:
    """A report to which a hook or the watcher did not come says so, and which; one that is whole does not."""
    partial = report()
    partial["processes"][0]["hook_errors"] = {"watcher": 72, "sqlalchemy.checkout": 1}
    assert "NOT ALL WAS SEEN: sqlalchemy.checkout, watcher failed" in " ".join(text.summary(partial).split())
    assert "NOT ALL WAS SEEN: sqlalchemy.checkout, watcher failed" in " ".join(text.render(partial).split())
    assert "NOT ALL WAS SEEN" not in text.render(report(finding()))


def test_head_says_how_a_process_fares() -> None:
    """One that has ended ran, one that is reported while it lives runs, one that died has said no last word."""
    said = []
    for ended, how in ((1100.0, "status 0"), (1100.0, "status 3"), (None, None), (None, "killed by SIGKILL")):
        one = report(ended=ended)
        one["processes"][0]["exit"] = how
        said += re.findall(r"\((.*), sqlalchemy\)", text.render(one))
    died = with_ended(report(pid=2**22 + 1, ended=None))  # more than Linux gives
    said += re.findall(r"\((.*), sqlalchemy\)", text.render(died))
    assert said == [
        "ran 3 min 20 s", "ran 3 min 20 s, status 3", "running for 3 min 20 s", "no last word, killed by SIGKILL",
        "no last word",
    ]  # fmt: skip


def test_foot_says_where_kinds_are_explained() -> None:
    """Below the findings stands which command says what a kind means."""
    foot = text.render(report(finding())).partition("Where next:")[2]
    assert "poolwatch explain KIND" in " ".join(foot.split())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 ms"), (0.004, "4 ms"), (0.25, "0.2 s"), (5, "5 s"), (59.99, "1 min"), (73.2, "1 min 13 s"),
     (3600, "1 h"), (3700, "1 h 1 min"), (200000, "2 days 7 h")],
)  # fmt: skip
def test_durations(seconds: float, said: str) -> None:
    """Durations are said in units people use."""
    assert duration(seconds) == said


def test_a_long_word_is_cut_and_not_left_out() -> None:
    """A fact of one line shows as much of a word without spaces as there is room for."""
    long = "return self.application.database_manager.engine_for_tenant(tenant).connect().execution_options(stream=True)"
    (line,) = fact("", f"> {long}", most=1)
    assert line.text.strip() == f"> {long}"[:85] + "..."
    *_, last = fact("Last SQL", "insert into orders (a, b) values(" + "?," * 200 + "?)", most=2)
    assert (len(last.text), last.text[-5:]) == (WIDTH, "?,...")
    (words,) = fact("Who", "word " * 40, most=1)
    assert words.text.endswith("word ...")


def test_overview_of_a_narrow_terminal() -> None:
    """No line is wider than the terminal; the pools keep what is in use, and what can be spared is left out."""
    wide, narrow = (text.overview(report(finding()), width=width).splitlines() for width in (200, 80))
    assert max(map(len, narrow)) <= 80 < max(map(len, wide)) <= WIDTH
    (columns,) = [line.split() for line in narrow if line.startswith("pool  ")]
    assert columns == ["pool", "pid", "in", "use", "idle", "waiting", "limit", "checkouts"]


def test_summary_says_what_is_missing() -> None:
    """Findings beyond ``max_findings`` and processes that could not tell all are in the line that everybody reads."""
    given = report(finding())
    assert "NOT ALL" not in text.summary(given)
    given["processes"][0]["dropped"] = {"findings": 2}
    assert text.summary(given).endswith("NOT ALL IS SHOWN: 2 findings more than max_findings")
    given["unseen"] = [f"process {n} said no last word" for n in range(5)]
    assert "NOT ALL WAS SEEN: process 0 said no last word; process 1" in text.summary(given)
    assert "; and 2 more, NOT ALL IS SHOWN" in text.summary(given)
