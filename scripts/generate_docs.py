"""Write the pages of docs/ that are made from code: options and metrics.

    python scripts/generate_docs.py [--check]

With ``--check`` nothing is written, and the status is 1 where a page is not what the code says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "agent"))

from poolwatch.config import ENV_PREFIX, RULES, Config  # noqa: E402
from poolwatch.export.names import NAMES  # noqa: E402
from poolwatch.export.numbers import MAX_SITES  # noqa: E402

_MADE = "<!-- Made by scripts/generate_docs.py: change the code, not this page. -->\n"

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
    return {docs / "options.md": _MADE + OPTIONS + _options(), docs / "metrics.md": _MADE + METRICS + _metrics()}


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
