"""Blocks and tests that must give back what they take: ``expect_no_leaks``, and what the pytest plugin is made of."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

from poolwatch.errors import ConfigError, LeakError
from poolwatch.evidence import reach
from poolwatch.host.native import get_ident
from poolwatch.ledger import Lease
from poolwatch.model import GRADES, Finding, Grade, grade_at_least
from poolwatch.senses import flow
from poolwatch.senses.flow import Scope
from poolwatch.senses.stack import site
from poolwatch.text.finding import block
from poolwatch.watch import Watch, install, installed

SETTLE = 1.0
"""Seconds that what is on its way back gets before it counts as left out."""
_STEP = 0.01


class Trial:
    """One stretch of work, judged at its end: what it opened, and what it took and left out."""

    def __init__(self, watch: Watch, name: str) -> None:
        self._watch = watch
        self._excused: list[Lease] = list(watch.leases_out())
        if self._excused:
            gc.collect()  # what an earlier trial dropped is found now, not during this one
        self._counts = {finding.id: finding.count for finding in watch.findings()}
        self._told_of = watch.told_of()
        self._began = monotonic()
        self.scope = Scope(name, None, flow.current_scope())
        self._entry = flow.begin(self.scope)

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Let what happens inside be outside of this trial: what is taken and left out there is somebody else's."""
        before = set(map(id, self._watch.leases_out()))
        entry = flow.begin(None)
        try:
            yield
        finally:
            flow.leave(entry)
            self.share([lease for lease in self._watch.leases_out() if id(lease) not in before])

    def share(self, leases: Iterable[Lease]) -> None:
        """Excuse leases of something around this trial and the next, which all of them may use."""
        for lease in leases:
            self._excused.append(lease)
            if not any(lease.id in subjects for subjects in self._told_of.values()):
                lease.own().scope, lease.own().common = None, True

    def excuse_kept_by(self, values: Iterable[Any], opaque: tuple[type, ...]) -> None:
        """Share the leases left out that ``values`` reach, not by ``opaque``: taken late, and not for this trial."""
        handles = {id(handle): lease for lease in self.left_out() if (handle := lease()) is not None}
        if handles:
            self.share(handles[key] for key in reach.from_values(values, set(handles), opaque))

    def end(self) -> None:
        """Leave the flow. It ends with ``verdict``: until then the watcher, too, waits for what is on its way back."""
        flow.leave(self._entry)

    def close(self) -> None:
        """End the flow: from now on everything taken in it must be back."""
        self.scope.must_return = True
        self.scope.ended = self.scope.ended or monotonic()

    def left_out(self) -> list[Lease]:
        """Give the leases of this trial that are still out."""
        excused = set(map(id, self._excused))
        return [lease for lease in self._watch.leases_out() if id(lease) not in excused and self._is_ours(lease)]

    def _is_ours(self, lease: Lease) -> bool:
        scope = lease.more.scope
        if lease.taken < self._began:
            return False
        if scope is not None and (scope.ended or scope.is_in(self.scope)):
            return True
        return lease.owner.thread_id == get_ident() or lease.owner.has_ended()

    def settle(self, seconds: float) -> None:
        """Wait until nothing is left out, at most so long."""
        until = monotonic() + seconds
        while self.left_out() and monotonic() < until:
            time.sleep(_STEP)

    async def settle_async(self, seconds: float) -> None:
        """Wait as ``settle`` does, and let the event loop run meanwhile."""
        until = monotonic() + seconds
        while self.left_out() and monotonic() < until:
            await asyncio.sleep(_STEP)

    def verdict(self, floor: Grade) -> list[Finding]:
        """Look now; give the findings that this trial opened or repeated, with the repeats of its own as count."""
        self.close()
        if self.left_out():
            gc.collect()  # dropped in a cycle is another fault than kept, and has another remedy
        for lease in self.left_out():
            self._claim(lease)
        found = []
        for finding in self._watch.findings():
            fresh = finding.count - self._counts.get(finding.id, 0) - self._excused_at(finding)
            if fresh > 0 and grade_at_least(finding.grade, floor) and not finding.kind.startswith("hold."):
                found.append(replace(finding, count=fresh))
        return found

    def _claim(self, lease: Lease) -> None:
        scope = lease.more.scope
        if scope is not None and scope.ended:
            scope.must_return = True
        else:
            lease.own().scope = self.scope

    def _excused_at(self, finding: Finding) -> int:
        """Count the excused leases that this finding may be about since we began: they are somebody else's fault."""
        if not finding.kind.startswith("leak.") or finding.site is None:
            return 0
        told = self._told_of.get(finding.id, frozenset())
        places = [lease.site for lease in self._excused if lease.id not in told]
        return sum(site(place.code, place.offset) == finding.site for place in places if place.code is not None)

    def text(self, findings: list[Finding]) -> str:
        """Say what was found as a person reads it."""
        report = self._watch.report()
        shown = {finding["id"]: finding for finding in report["findings"]}
        blocks = [block({**shown[finding.id], "count": finding.count}, report) for finding in findings]
        return "\n\n".join("\n".join(line.text for line in lines) for lines in blocks)


class expect_no_leaks:
    """Raise LeakError at the end of the block where it left connections out or opened findings.

    ``grade`` is the weakest that counts (ConfigError for a word that is none); ``settle`` the seconds that what is on
    its way back gets. Use ``async with`` on an event loop, so that its tasks can go on meanwhile. An error out of the
    block goes its way, unjudged. Installs poolwatch for the time of the block where nobody has.
    """

    def __init__(self, *, grade: Grade = "probable", settle: float = SETTLE) -> None:
        if grade not in GRADES:
            raise ConfigError("grade", grade, "one of " + ", ".join(GRADES))
        self._grade = grade
        self._settle = settle
        self._own: Watch | None = None

    def __enter__(self) -> None:
        watch = installed()
        if watch is None:
            watch = self._own = install()
        self._trial = Trial(watch, "expect_no_leaks")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._trial.end()
        try:
            if kind is None:
                self._trial.settle(self._settle)
                self._judge()
        finally:
            self._close()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._trial.end()
        try:
            if kind is None:
                await self._trial.settle_async(self._settle)
                self._judge()
        finally:
            self._close()

    def _judge(self) -> None:
        found = self._trial.verdict(self._grade)
        if found:
            raise LeakError(self._trial.text(found))

    def _close(self) -> None:
        self._trial.close()
        if self._own is not None:
            self._own.uninstall()
            self._own = None
