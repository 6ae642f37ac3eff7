"""The speed part: every case in every mode of this interpreter, and of a second one that has OpenTelemetry.

``python -m bench.speed PATH`` is how the second interpreter is run: it writes its samples to PATH as JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.batch import Sample
from bench.budgets import judged
from bench.cases import EXPORTED, Case, cases, cases_beside
from bench.databases import graphql_url, postgres_urls
from bench.modes import has_otel, modes_of
from bench.progress import Progress
from bench.rounds import FULL, QUICK, Plan, Result, run_case

ROOT = Path(__file__).resolve().parent.parent
OTEL_PYTHON = ROOT / ".venv-otel" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Speed:
    """What one interpreter measured."""

    versions: str
    results: list[Result]


def run_speed(quick: bool, only: str, with_postgres: bool) -> Speed:
    """Measure every case whose name has ``only`` in it, in every mode this interpreter has."""
    with postgres_urls(with_postgres) as urls, graphql_url(not has_otel()) as graphql:
        found = cases(urls, (1,) if quick else (1, 8))
        if not has_otel():  # the other environment has SQLAlchemy's instrumentation alone
            found += cases_beside(urls.get(False), graphql)
        wanted = [case for case in found if only in str(case)]
        gc.freeze()  # so that the collection before each batch looks at that batch's own objects
        return Speed(machine.versions(), _run(wanted, QUICK if quick else FULL))


def _run(wanted: Sequence[Case], plan: Plan) -> list[Result]:
    plans = {case: _plan(case, plan) for case in wanted}
    progress = Progress(sum(each.rounds for each in plans.values()))
    results = []
    for case, each in plans.items():
        progress.label(str(case))
        results.append(run_case(case, modes_of(case), each, progress.tick))
    progress.close()
    return results


def _plan(case: Case, plan: Plan) -> Plan:
    if case.operation in EXPORTED:
        return plan.on_end()
    return plan.times(6) if judged(case) else plan


def run_speed_beside_otel(quick: bool, only: str, with_postgres: bool) -> Speed | None:
    """Measure the same in the environment of ``bench/otel_env.sh``; None where it has not been made."""
    if not OTEL_PYTHON.exists():
        print("bench: no OpenTelemetry figures; make its environment with bench/otel_env.sh", file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.json"
        options = ["--quick"] * quick + ["--no-postgres"] * (not with_postgres) + ["--only", only]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "agent"), os.environ.get("PYTHONPATH", "")]),
        }
        argv = [str(OTEL_PYTHON), "-m", "bench.speed", str(path), *options]
        subprocess.run(argv, cwd=ROOT, env=environment, check=True)
        return _from_json(path.read_text())


def _to_json(speed: Speed) -> str:
    results = [
        {"case": dataclasses.asdict(result.case), "samples": {m: _pairs(s) for m, s in result.samples.items()}}
        for result in speed.results
    ]
    return json.dumps({"versions": speed.versions, "results": results})


def _pairs(samples: list[Sample]) -> list[tuple[float, float]]:
    return [(sample.cpu, sample.wall) for sample in samples]


def _from_json(text: str) -> Speed:
    data = json.loads(text)
    results = [
        Result(
            Case(**item["case"]), {mode: [Sample(*pair) for pair in pairs] for mode, pairs in item["samples"].items()}
        )
        for item in data["results"]
    ]
    return Speed(data["versions"], results)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both interpreters take."""
    parser.add_argument("--quick", action="store_true", help="a short run: good enough to see an order of magnitude")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with TEXT in their name")
    parser.add_argument("--no-postgres", action="store_true", help="leave PostgreSQL out")


def main() -> None:
    """Measure and write the samples."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    add_options(parser)
    options = parser.parse_args()
    options.path.write_text(_to_json(run_speed(options.quick, options.only, not options.no_postgres)))


if __name__ == "__main__":
    main()
