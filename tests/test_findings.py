"""The book of findings: what opens, repeats, is resolved, gives way to a stronger one, or finds no room."""

from __future__ import annotations

from dataclasses import replace

from poolwatch.book import Findings
from poolwatch.model import Finding, Grade, Site

LINE = Site("shop.py", 41, "sell")


def finding(kind: str, *subjects: int, grade: Grade = "probable", site: Site | None = LINE, pool: str = "p") -> Finding:
    """Make a finding of one look."""
    return Finding(kind, grade, pool, "sqlalchemy", f"{kind} {subjects}", "hint", site, subjects=frozenset(subjects))


def book(most: int = 10) -> Findings:
    """Make an empty book."""
    return Findings(max_findings=most, resolve_after=300.0)


def states(found: Findings) -> list[tuple[str, str, int]]:
    """Give kind, state and count of all findings."""
    return [(f.kind, f.state, f.count) for f in found.all()]


def test_opens_once() -> None:
    """What holds at every look is opened at the first and says nothing at the others."""
    found = book()
    assert [change for change, _ in found.update(1.0, [finding("leak.owner_ended", 1)], {})] == ["opened"]
    assert found.update(2.0, [finding("leak.owner_ended", 1)], {}) == []
    (only,) = found.all()
    assert (only.first_seen, only.last_seen, only.count) == (1.0, 2.0, 1)


def test_repeats_are_counted() -> None:
    """The same fault by other leases is one finding with a count."""
    found = book()
    found.update(1.0, [finding("leak.collected", 1)], {})
    (change,) = found.update(2.0, [finding("leak.collected", 2), finding("leak.collected", 2)], {})
    assert (change[0], change[1].count) == ("repeated", 2)
    assert states(found) == [("leak.collected", "open", 2)]


def test_other_line_pool_or_kind_is_another_finding() -> None:
    """Findings are told apart by kind, pool and site."""
    found = book()
    leak = finding("leak.collected", 1)
    others = [
        finding("leak.detached", 2),
        finding("leak.collected", 3, pool="q"),
        finding("leak.collected", 4, site=None),
    ]
    found.update(1.0, [leak, *others], {})
    assert len({f.id for f in found.all()}) == 4


def test_return_resolves() -> None:
    """A lease that comes back resolves its finding and says after how long; a leak at the same line opens it again."""
    found = book()
    found.update(1.0, [finding("leak.overdue", 1, 2)], {})
    assert found.update(2.0, [finding("leak.overdue", 2)], {1: 73.0}) == []
    ((change, resolved),) = found.update(3.0, [], {2: 73.0})
    assert (change, resolved.state, resolved.resolution) == ("resolved", "resolved", "returned after 73 s")
    found.update(4.0, [finding("leak.overdue", 3)], {})
    (again,) = found.all()
    assert (again.state, again.id, again.first_seen, again.count) == ("open", resolved.id, 1.0, 3)
    assert again.resolution is None
    assert found.totals["leak.overdue", "probable", "p"] == 3


def test_weaker_than_before_is_another_finding() -> None:
    """What was proved and is over stays proved, whatever is suspected of the same line later."""
    found = book()
    found.update(1.0, [finding("leak.overdue", 1, grade="proved")], {})
    found.update(2.0, [], {1: 73.0})
    found.update(3.0, [finding("leak.overdue", 2)], {})
    assert [(f.state, f.grade) for f in found.all()] == [("open", "probable"), ("resolved", "proved")]


def test_text_and_evidence_are_about_the_same_lease() -> None:
    """Of several leases of one line one is described, until it is back; then another."""

    def held(lease: int, now: float) -> Finding:
        place = f"app.held[{lease}]"
        one = replace(finding("leak.overdue", lease), summary=f"held for {now} s by {place}")
        return replace(one, retained_by=(place,), lease={"age_seconds": now})

    found = book()
    for now, out in ((1.0, (1, 2, 3)), (2.0, (1, 2, 3)), (3.0, (2, 3)), (4.0, (3, 2))):
        found.update(now, [held(lease, now) for lease in out], {1: 2.5})
        (only,) = found.all()
        assert only.summary == f"held for {only.lease['age_seconds']} s by {only.retained_by[0]}"
    assert only.retained_by != ("app.held[1]",)
    assert (only.lease["age_seconds"], only.count) == (4.0, 3)


def test_what_happened_stays_open_until_it_is_quiet() -> None:
    """A collected handle cannot come back: its finding is resolved only after ``resolve_after`` seconds of quiet."""
    found = book()
    found.update(1.0, [finding("leak.collected", 1, grade="proved")], {})
    assert found.update(300.0, [], {}) == []
    assert [change for change, _ in found.update(301.0, [], {})] == ["resolved"]


def test_stronger_grade_is_told() -> None:
    """A finding that becomes proved says so, and never becomes weaker again."""
    found = book()
    found.update(1.0, [finding("leak.owner_ended", 1)], {})
    (change,) = found.update(2.0, [finding("leak.owner_ended", 1, grade="proved")], {})
    assert (change[0], change[1].grade) == ("stronger", "proved")
    assert found.update(3.0, [finding("leak.owner_ended", 1)], {}) == []
    assert found.all()[0].grade == "proved"


def test_stronger_kind_takes_over() -> None:
    """A lease that was suspected and is then proved lost is one finding, not two; others of the line stay."""
    found = book()
    found.update(1.0, [finding("leak.owner_ended", 1, 2)], {})
    found.update(2.0, [finding("leak.collected", 1), finding("leak.owner_ended", 2)], {})
    assert sorted(states(found)) == [("leak.collected", "open", 1), ("leak.owner_ended", "open", 1)]
    found.update(3.0, [finding("leak.collected", 2)], {})
    assert states(found) == [("leak.collected", "open", 2)]


def test_full_book_drops_and_counts() -> None:
    """Beyond ``max_findings`` resolved ones make room first, oldest first; then what is new is dropped, and counted."""
    found = book(2)
    found.update(1.0, [finding("leak.overdue", 1), finding("leak.collected", 2)], {})
    assert found.update(2.0, [finding("leak.overdue", 1), finding("leak.detached", 3)], {}) == []
    assert found.dropped == 1
    found.update(3.0, [], {1: 2.0})
    found.update(4.0, [finding("leak.detached", 3)], {})
    assert sorted(kind for kind, _, _ in states(found)) == ["leak.collected", "leak.detached"]
    assert found.dropped == 2


def test_full_book_counts_a_fault_once() -> None:
    """What is seen at every look and finds no room is one that was dropped."""
    found = book(1)
    for moment in range(5):
        found.update(moment, [finding("leak.overdue", 1), finding("leak.detached", 3), finding("orphan.socket", 4)], {})
    assert (states(found), found.dropped) == ([("leak.overdue", "open", 1)], 2)


def test_stronger_takes_the_place_of_the_weakest() -> None:
    """In a full book the youngest of the weakest gives way to what is stronger, and nothing else does."""
    found = book(3)
    weak = [finding("leak.overdue", n, grade="suspected", pool=f"p{n}") for n in (1, 2)]
    probable, proved = finding("leak.owner_ended", 3), finding("leak.collected", 4, grade="proved")
    found.update(1.0, [*weak, probable], {})
    ((change, opened),) = found.update(2.0, [*weak, probable, proved], {})
    assert (change, opened.kind) == ("opened", "leak.collected")
    assert [one.pool for one in found.all() if one.kind == "leak.overdue"] == ["p1"]
    for moment in (3.0, 4.0):
        assert found.update(moment, [*weak, probable], {}) == []
    assert (len(found.all()), found.dropped) == (3, 1)
