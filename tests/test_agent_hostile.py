"""Whatever lies in the spool folder, the report of all processes can be made, served and read again."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import psutil
from hypothesis import given, settings
from hypothesis import strategies as some

from poolwatch.collecting import carried
from poolwatch.collecting.keeper import Keeper
from poolwatch.collecting.servers import servers
from poolwatch.evidence.server_side import ServerFacts
from poolwatch.export.exposition import encode
from poolwatch.export.prometheus import families
from poolwatch.model import Json
from poolwatch.report import schema
from poolwatch.report.spool import file_name
from tests.reports import finding, lease, report

SCALARS = (
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5)
    | some.sampled_from([10**400, -(10**400), 1e308, -1, "+Inf", "\ud800", "nan", "1e999"])
)  # fmt: skip
VALUES = some.recursive(
    SCALARS, lambda part: some.lists(part, max_size=3) | some.dictionaries(some.text(), part), max_leaves=4
)
OWN = psutil.Process()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Give every place inside a value, as container and key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


@some.composite
def spoiled(draw: some.DrawFn, good: Json) -> Json:
    """Give a report in which some values are others."""
    bad = copy.deepcopy(good)
    for _ in range(draw(some.integers(1, 3))):
        places = _places(bad)
        container, key = places[draw(some.integers(0, len(places) - 1))]
        container[key] = draw(VALUES)
    return bad


def _report(pid: int, started_at: float) -> Json:
    made: Json = json.loads(json.dumps(report(finding(), leases=(lease(),), pid=pid, ended=None)))
    made["processes"][0] |= {"started_at": started_at, "interval": 0.25}
    made["pools"][0] |= {"peers": ["127.0.0.1:5432"], "sockets": [{"inode": 5, "local": "127.0.0.1:40000"}]}
    exemplar = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "value": 0.1, "at": 1.0}
    made["pools"][0]["use_seconds"]["exemplars"] = [exemplar]
    return made


LIVING, DEAD = _report(OWN.pid, OWN.create_time()), _report(2**22 + 1, 900.0)


(SERVER,) = servers(["postgresql://127.0.0.1:5432"], 1.0)
SERVER.facts = ServerFacts(max_connections=4, reserved=3, connections=2, others=("127.0.0.1:40000",))
SERVER.addresses = frozenset({"127.0.0.1:5432"})


def _look(folder: str) -> None:
    merged = Keeper(folder, [SERVER]).report()
    assert schema.problem(merged) is None
    assert json.loads(json.dumps(merged))
    assert encode(merged)
    assert list(families(merged))


@given(living=spoiled(LIVING), dead=spoiled(DEAD), raw=some.binary(max_size=50))
@settings(max_examples=100, deadline=None)
def test_any_file(living: Json, dead: Json, raw: bytes) -> None:
    """Reports with wrong values in any place are shown, added up or counted, and so at the next look."""
    with tempfile.TemporaryDirectory() as folder:
        for name, bad in ((file_name(LIVING), living), (file_name(DEAD), dead)):
            Path(folder, name).write_text(json.dumps(bad))
        Path(folder, f"{os.getpid()}-{len(raw)}.json").write_bytes(raw)
        _look(folder)
        _look(folder)


@given(data=some.data())
@settings(max_examples=100, deadline=None)
def test_any_memory(data: some.DataObject) -> None:
    """What is carried over may be anything as well."""
    with tempfile.TemporaryDirectory() as folder:
        for good in (LIVING, DEAD):
            Path(folder, file_name(good)).write_text(json.dumps(good))
        _look(folder)
        memory = Path(folder, carried.FILE)
        assert "capacity.oversubscribed" in memory.read_text()
        memory.write_text(json.dumps(data.draw(spoiled(json.loads(memory.read_text())))))
        _look(folder)
        _look(folder)
