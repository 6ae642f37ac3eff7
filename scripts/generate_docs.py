"""Write the pages of docs/ that are made from code: findings, options and metrics.

    python scripts/generate_docs.py [--check]

With ``--check`` nothing is written, and the status is 1 where a page is not what the code says.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "agent"))

from poolwatch.config import ENV_PREFIX, RULES, Config  # noqa: E402
from poolwatch.export.names import NAMES  # noqa: E402
from poolwatch.export.numbers import MAX_SITES  # noqa: E402
from poolwatch.kinds import FAMILIES, PREAMBLE, Example, Family, Kind  # noqa: E402

_MADE = "<!-- Made by scripts/generate_docs.py: change the code, not this page. -->\n"

FINDINGS = """\
# Findings

One finding is one fault: the same kind, pool and site; pools that were made under one name (`shop`, `shop#2`) are one
there. Repeats are counted. A finding opens, may repeat or become stronger, and may be resolved. `poolwatch explain
KIND` says what stands here on a terminal.

Grades:

- `proved`: it cannot be otherwise.
- `probable`: strong evidence, for instance an owner that has ended while nobody alive reaches the connection.
- `suspected`: a threshold was passed. The program may be right, so look at it.

Every finding about a lease says: the site, the owner and the user (thread, task or greenlet, and whether they live),
age, idle time, time in SQL, statements run, the last statement (literals hidden), whether a transaction is open, the
backend pid where the driver tells it, the pool's class, limits and state, and stacks. The text report shows one screen
for each finding; the JSON report has all of it. The cures below are the findings' own hints.

Alerts are those of [deploy/prometheus/rules](../deploy/prometheus/rules/poolwatch.rules.yml), each with a
[runbook](runbooks/README.md). Options are explained in [Options](options.md).

The examples below begin with this. All are run under `poolwatch run` by the tests, a pair with the same options: each
first one gives the finding, each second one gives none.

"""

OPTIONS = """\
# Options

Every option can be given in three ways: as a keyword of `poolwatch.install`, as an environment variable, and as a
flag of `poolwatch run`. A flag or keyword goes before the variable, the variable before the default. A value that is
not allowed is refused by name.

"""

METRICS = f"""\
# Metrics

Prometheus reads them at `/metrics` of the address that the option `serve` names, or in `prometheus_client`'s default
registry. Names that begin with `db_client_connection` are those of OpenTelemetry's semantic conventions. Nothing is
counted twice: each number is computed from the report when somebody scrapes. Over several processes, the numbers of
pools with one name are added up; of ages the oldest counts.

`site` is `file:line function` of the code that took the lease. At most {MAX_SITES} sites have series of their own; the
rest shares the site `other`.

Two metrics are declared without a type. `db_client_connection_count` is a gauge, but Prometheus' linter wants the
ending `_count` on histograms only. `poolwatch_findings_total` is a counter, but OpenMetrics takes `_total` off a
counter's name, where it would be another `poolwatch_findings`. Both behave in every query as what they are.

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the pages; gives the exit status."""
    parser = argparse.ArgumentParser(description="Write the pages of docs/ that are made from code.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a page is out of date")
    args = parser.parse_args(argv)
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'out of date' if args.check else 'written'}")
        if not args.check:
            path.write_text(pages()[path], "utf-8")
    return 1 if stale and args.check else 0


def pages() -> dict[Path, str]:
    """Give the text of each page."""
    docs = ROOT / "docs"
    texts = {
        "findings.md": FINDINGS + _findings(),
        "options.md": OPTIONS + _options(),
        "metrics.md": METRICS + _metrics(),
    }
    return {docs / name: _MADE + text for name, text in texts.items()}


def _findings() -> str:
    return "\n".join([_program(PREAMBLE), *(_family(family) for family in FAMILIES)])


def _family(family: Family) -> str:
    parts = [f"## {family.title}", *([_prose(family.about)] if family.about else []), *_more(family.pages)]
    return "\n\n".join(parts) + "\n\n" + "\n".join(_kind(kind) for kind in family.kinds)


def _kind(kind: Kind) -> str:
    meaning = [_prose(paragraph) for paragraph in f"Grade: {kind.grade}. {kind.meaning}".split("\n\n")]
    head = [f"### `{kind.name}`", *meaning, "Typical causes:", _bullets(kind.causes), *_cures(kind)]
    return "\n\n".join([*head, *_examples(kind.example), _facts(kind), *_more(kind.pages)]) + "\n"


def _cures(kind: Kind) -> list[str]:
    (_, general), *others = kind.cures
    special = [_bullets(f"{case}: {text}" for case, text in others)] if others else []
    return [_prose(f"Cure: {general}"), *special]


def _bullets(texts: Iterable[str]) -> str:
    return "\n".join(_prose(f"- {text}", "  ") for text in texts)


def _prose(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def _examples(example: Example | None) -> list[str]:
    if example is None:
        return []
    flags = f", with `{example.flags}`" if example.flags else ""
    programs = (f"This leads to it{flags}", example.leaking), ("This does not", example.mended)
    return [part for title, program in programs for part in (f"{title}:", _program(program).rstrip())]


def _program(program: str) -> str:
    return f"```python\n{program}```\n"


def _facts(kind: Kind) -> str:
    options = ", ".join(f"`{name}`" for name in kind.options) or "none"
    alerts = ", ".join(f"[{name}](runbooks/{name}.md)" for name in kind.alerts) or "none"
    return _prose(f"Resolved {kind.resolved}. Options: {options}. Alerts: {alerts}.")


def _more(pages: Mapping[str, str]) -> list[str]:
    links = ", ".join(f"[{title}]({page})" for title, page in pages.items())
    return [f"More: {links}."] if links else []


def _options() -> str:
    default = Config()
    rows = (
        (
            f"`{name}`", f"`{ENV_PREFIX}{name.upper()}`", f"`--{name.replace('_', '-')} {rule.metavar}`",
            _shown(getattr(default, name), rule.unit), rule.allowed, rule.help,
        )
        for name, rule in RULES.items()
    )  # fmt: skip
    return _table(("keyword", "variable", "flag", "default", "allowed", "meaning"), rows)


def _shown(value: object, unit: str) -> str:
    if value is None or value == ():
        return "none"
    text = ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text.lower()}`" + (f" {unit}" if unit else "")


def _metrics() -> str:
    rows = (
        (
            f"`{n.prometheus}`",
            n.type,
            f"`{n.unit}`",
            ", ".join(f"`{label}`" for label in n.labels),
            f"`{n.otel}`",
            n.help,
        )
        for n in NAMES
    )
    return _table(("Prometheus", "type", "unit", "labels", "OpenTelemetry", "meaning"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
