"""Prometheus' text format, written for speed.

``prometheus_client.generate_latest`` checks every name of every sample again: with a hundred pools that is most of
a scrape (measured: 80 of 100 ms). Our names are ours and known to be good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def encode(families: Iterable[Metric]) -> bytes:
    """Give the families in the text format, version 0.0.4."""
    return "".join(line for family in families for line in _lines(family)).encode()


def _lines(family: Metric) -> Iterator[str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    yield f"# HELP {name} {family.documentation}\n"
    yield f"# TYPE {name} {'untyped' if family.type == 'unknown' else family.type}\n"
    for sample in family.samples:
        yield f"{sample.name}{_labels(sample.labels)} {sample.value}\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()]) + "}"
