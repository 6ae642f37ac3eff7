"""Makes one report of the reports of several processes."""

from __future__ import annotations

from collections.abc import Iterable
from time import time
from typing import Any

from poolwatch.model import GRADES, REPORT_VERSION, Fault, Json, Place, fault

_LISTS = ("processes", "pools", "leases", "sites", "scopes", "findings_total")


def merge(reports: Iterable[Json]) -> Json:
    """Concatenate reports; findings of the same fault become one with their counts summed."""
    merged: Json = {"version": REPORT_VERSION, "generated_at": 0.0, **{name: [] for name in _LISTS}, "findings": []}
    groups: dict[Fault, list[Json]] = {}
    for report in reports:
        merged["generated_at"] = max(merged["generated_at"], report["generated_at"])
        for name in _LISTS:
            merged[name] += report.get(name, [])
        for finding in report["findings"]:
            groups.setdefault(finding_key(finding), []).append(finding)
    merged["generated_at"] = merged["generated_at"] or time()
    merged["findings"] = _distinct([_one(group) for group in groups.values()])
    return merged


def finding_key(finding: Json) -> Fault:
    """Give what findings of one fault have in common."""
    return fault(finding["kind"], finding["pool"], finding.get("twin_of"), site_key(finding["site"]))


def site_key(site: Json | None) -> Place | None:
    """Make a site comparable."""
    return (site["file"], site["line"], site["function"]) if site else None


def _one(group: list[Json]) -> Json:
    group = sorted(group, key=lambda finding: finding["first_seen"])
    first = next((finding for finding in group if finding["state"] == "open"), group[0])
    return {
        **first,
        "grade": min((finding["grade"] for finding in group), key=_strength),
        "count": sum(finding["count"] for finding in group),
        "first_seen": group[0]["first_seen"],
        "last_seen": max(finding["last_seen"] for finding in group),
    }


def _strength(grade: Any) -> int:
    return GRADES.index(grade)


def _distinct(findings: list[Json]) -> list[Json]:
    """Keep ids unique: processes number their findings on their own."""
    seen: set[str] = set()
    for finding in findings:
        if finding["id"] in seen:
            finding["id"] = f"{finding['id']}-{finding.get('pid', len(seen))}"
        seen.add(finding["id"])
    return findings
