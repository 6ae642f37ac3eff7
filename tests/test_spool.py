"""The spool, the schema and the merge: what is written is what is read, and nothing else is."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from poolwatch.collecting import ended, living
from poolwatch.collecting.keeper import Keeper
from poolwatch.model import added
from poolwatch.report import merge, schema, spool
from tests.reports import SITE, finding, lease, report


def _age(report: dict[str, Any], moment: float) -> dict[str, Any]:
    return {**report, "generated_at": moment, "processes": [{**report["processes"][0], "seen_at": moment}]}


def test_sums_do_not_depend_on_their_order() -> None:
    """However seconds are added up, over however many steps, the last digit is the same; whole numbers stay whole."""
    for one, other, third in permutations([0.1, 0.2, 1e6 / 3]):
        assert added([one, other, third]) == added([added([one, other]), third]) == 333333.633333
    assert [added([1, 2]), type(added([1, 2]))] == [3, int]


def test_written_and_read(tmp_path: Path) -> None:
    """A report comes back as it was; file and folder are the owner's alone."""
    folder = tmp_path / "a" / "b"
    assert spool.Spool(str(folder)).write(report(finding()))
    assert spool.read_all(str(folder)) == [report(finding())]
    (file,) = folder.iterdir()
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)


def test_unchanged_report_is_not_written(tmp_path: Path) -> None:
    """Nothing is written where only the clock went on; what has changed replaces the file."""
    writer = spool.Spool(str(tmp_path))
    assert writer.write(report())
    assert not writer.write(_age(report(), 5000.0))
    assert writer.write(report(finding()))
    assert len(list(tmp_path.iterdir())) == 1


def test_disk_errors_are_counted(tmp_path: Path) -> None:
    """A folder that is gone, or a disk that is full, is a number and nothing more."""
    writer = spool.Spool(str(tmp_path / "gone"))
    (tmp_path / "gone").rmdir()
    assert not writer.write(report())
    assert writer.errors == 1
    (tmp_path / "gone").mkdir()
    assert writer.write(report())


def test_full_disk(tmp_path: Path) -> None:
    """On a full device the old file stays whole and no rest is left."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    if os.system(f"mount -t tmpfs -o size=16k tmpfs {tmp_path} 2>/dev/null"):
        pytest.skip("mounting is not allowed here")
    try:
        writer = spool.Spool(str(tmp_path))
        assert writer.write(report())
        assert not writer.write(report(finding(summary="x" * 60_000)))
        assert writer.errors == 1
        assert spool.read_all(str(tmp_path)) == [report()]
        assert spool.read_unwritten(str(tmp_path)) == {10: "No space left on device"}
        assert {path.suffix for path in tmp_path.iterdir()} == {".json", spool.UNWRITTEN_SUFFIX}
    finally:
        os.system(f"umount {tmp_path}")


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "half": json.dumps(report(finding())).encode()[:-40],
    "binary": bytes(range(256)),
    "deep": b"[" * 200_000,
    "list": b"[]",
    "later": json.dumps({**report(), "version": 2}).encode(),
    "types": json.dumps({**report(), "findings": [1]}).encode(),
    "nan": json.dumps({**report(), "generated_at": float("nan")}).encode(),
    "missing": json.dumps({key: value for key, value in report().items() if key != "pools"}).encode(),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_file_is_skipped_and_named(tmp_path: Path, what: str) -> None:
    """A file that is no report is left out with a reason; the others are read."""
    spool.Spool(str(tmp_path)).write(report())
    (tmp_path / "bad.json").write_bytes(HOSTILE[what])
    skipped: dict[str, str] = {}
    assert len(spool.read_all(str(tmp_path), skipped)) == 1
    assert list(skipped) == ["bad.json"]


def test_odd_files_are_skipped(tmp_path: Path) -> None:
    """A pipe does not block, a device does not fill the memory, a missing folder is empty."""
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    (tmp_path / "folder.json").mkdir()
    with open(tmp_path / "huge.json", "wb") as file:
        file.truncate(spool.MAX_BYTES + 1)
    skipped: dict[str, str] = {}
    assert spool.read_all(str(tmp_path), skipped) == []
    assert len(skipped) == 4
    assert spool.read_all(str(tmp_path / "none")) == []


def test_schema_is_a_schema_and_reports_follow_it() -> None:
    """The schema is valid JSON Schema 2020-12; reports follow it; our checker agrees with a complete one."""
    jsonschema.Draft202012Validator.check_schema(schema.report_schema())
    full = jsonschema.Draft202012Validator(schema.report_schema())
    good = report(finding(), finding(site=None, state="resolved", resolution="returned after 73 s"), leases=(lease(),))
    assert full.is_valid(good), next(full.iter_errors(good))
    assert schema.problem(good) is None
    for spoiled in _spoiled(good):
        assert not full.is_valid(spoiled)
        assert schema.problem(spoiled) is not None


def _spoiled(value: Any) -> Any:
    """Give copies of a report, each with one required thing missing."""
    for key in ("version", "processes", "findings"):
        yield {name: item for name, item in value.items() if name != key}
    for key in value["findings"][0].keys() - {"pid", "twin_of"}:
        broken = {name: item for name, item in value["findings"][0].items() if name != key}
        yield {**value, "findings": [broken]}
    yield {**value, "processes": [{**value["processes"][0], "pid": "10"}]}
    yield {**value, "pools": [{**value["pools"][0], "used": True}]}


def test_merge_makes_one_finding_of_one_fault() -> None:
    """The same kind, pool and site in two processes is one finding: counts summed, earliest first, open if any is."""
    early = report(finding(first_seen=1.0, last_seen=2.0, count=2, state="resolved", resolution="x"), pid=10)
    late = report(finding(first_seen=5.0, last_seen=9.0, count=3, pid=11), finding(kind="leak.overdue"), pid=11)
    merged = merge.merge([late, early])
    assert len(merged["processes"]) == len(merged["pools"]) == 2
    one, other = sorted(merged["findings"], key=lambda item: item["kind"])
    assert (one["count"], one["first_seen"], one["last_seen"], one["state"]) == (5, 1.0, 9.0, "open")
    assert other["count"] == 1
    assert one["id"] != other["id"]
    assert schema.problem(merged) is None
    assert schema.problem(merge.merge([])) is None


def test_a_fault_of_the_pool_is_one_for_all_processes() -> None:
    """One exhausted pool in two processes is one finding, whoever held longest in each."""
    here, there = (replace(SITE, line=line) for line in (41, 97))
    pair = [report(finding(kind="starvation.exhausted", site=site)) for site in (here, there)]
    (one,) = merge.merge(pair)["findings"]
    assert one["count"] == 2
    assert len(merge.merge([report(finding(site=site)) for site in (here, there)])["findings"]) == 2


def test_process_that_died_holding() -> None:
    """One finding for each pool and site, with a count; what an open leak covers is not told twice."""
    other = lease(id=3, site=None)
    dead = report(leases=(lease(), lease(id=2), other), pid=2**22 + 1, ended=None)
    findings = ended.with_ended(dead)["findings"]
    assert [(item["kind"], item["grade"], item["count"]) for item in findings] == [
        ("leak.process_ended", "proved", 2),
        ("leak.process_ended", "proved", 1),
    ]
    assert schema.problem(ended.with_ended(dead)) is None
    covered = report(finding(), leases=(lease(),), pid=2**22 + 1, ended=None)
    assert len(ended.with_ended(covered)["findings"]) == 1
    assert ended.with_ended(report(leases=(lease(),)))["findings"] == []


def test_process_that_died_at_work() -> None:
    """A lease that was as young at the last report as those its line returns is not called held; an older one is."""
    usual = 3.0 / 7
    for age, found in ((1.9 * usual, []), (2.1 * usual, ["leak.process_ended"])):
        dead = report(leases=(lease(age_seconds=age),), pid=2**22 + 1, ended=None)
        assert [item["kind"] for item in ended.with_ended(dead)["findings"]] == found


def test_living_process_holds_rightly() -> None:
    """A process that runs is not dead, a later one with its pid is not it."""
    own = {"pid": os.getpid(), "started_at": 2e9}
    assert living.alive(own)
    assert not living.alive({**own, "started_at": 1.0})


def test_who_changed_its_user_is_one_process(tmp_path: Path) -> None:
    """Of two files of one process only the later counts, for ``run`` and, when it has ended, for the agent."""
    later = _age(report(finding()), 2000.0)
    for moves, given in enumerate((report(), later)):
        (tmp_path / spool.file_name(given, moves)).write_text(json.dumps(given))
    assert spool.read_all(str(tmp_path)) == [later]
    seen = Keeper(str(tmp_path)).report()
    assert (sum(pool["checkouts_total"] for pool in seen["pools"]), len(seen["findings"])) == (7, 1)
    assert seen["processes"][0]["processes_ended"] == 1
    assert seen["processes"][0]["dropped"] == {}
