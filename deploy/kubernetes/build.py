"""Write base/rules.yaml, a PrometheusRule of deploy/prometheus/rules: ``python deploy/kubernetes/build.py``."""

from __future__ import annotations

from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
RULES = HERE.parent / "prometheus" / "rules" / "poolwatch.rules.yml"
TARGET = HERE / "base" / "rules.yaml"
HEAD = "# Made by ../build.py from deploy/prometheus/rules: change them there, not here.\n"


def render() -> str:
    """Give the resource. Its texts are not folded: kustomize would put empty lines into them."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "poolwatch"},
        "spec": yaml.safe_load(RULES.read_text("utf-8")),
    }
    return HEAD + yaml.safe_dump(resource, sort_keys=False, width=120)


if __name__ == "__main__":
    TARGET.write_text(render(), "utf-8")
