"""Build the JSON of all dashboards: ``python -m dashboards.build`` from the project's root."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import fleet, leaks, pools

FOLDER = Path(__file__).parent
BUILDERS = {"pools": pools.build, "leaks": leaks.build, "fleet": fleet.build}


def render(name: str) -> str:
    """Give the JSON of one dashboard."""
    return JSONEncoder(indent=2, sort_keys=True).encode(BUILDERS[name]().build()) + "\n"


def main() -> None:
    """Write the JSON of every dashboard beside this module."""
    for name in BUILDERS:
        (FOLDER / f"{name}.json").write_text(render(name), "utf-8")


if __name__ == "__main__":
    main()
