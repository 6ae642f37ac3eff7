"""What only somebody outside can say: a process died without a last word and took leases with it."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.collecting.living import alive
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Json, Owner, OwnerKind, plain
from poolwatch.report.merge import site_key


def with_ended(report: Json) -> Json:
    """Add ``leak.process_ended`` to the report of one process where that died and still held leases."""
    process = report["processes"][0]
    return report if process["ended_at"] is not None or alive(process) else died(report)


def died(report: Json) -> Json:
    """Give the report of a process that died without a last word: what it held becomes findings."""
    process = report["processes"][0]
    findings = list(_findings(report, process))
    totals = [{name: finding[name] for name in ("kind", "grade", "pool", "count")} for finding in findings]
    return {
        **report,
        "processes": [{**process, "exit": "no last word"}],
        "leases": [],
        "findings": report["findings"] + findings,
        "findings_total": report.get("findings_total", []) + totals,
    }


def _findings(report: Json, process: Json) -> Iterator[Json]:
    covered = {_place(finding) for finding in report["findings"] if _covers(finding)}
    groups: dict[object, list[Json]] = {}
    usual = _usual_holds(report)
    twins = {pool["name"]: pool.get("twin_of") for pool in report["pools"]}
    for lease in report["leases"]:
        if _place(lease) not in covered and not _may_be_back(lease, usual, process):
            groups.setdefault(_place(lease), []).append(lease)
    for number, leases in enumerate(groups.values(), 1):
        finding = _finding(leases, report, process)
        yield {**finding, "id": f"ended-{process['pid']}-{number}", "twin_of": twins.get(finding["pool"])}


def _place(thing: Json) -> object:
    return thing["pool"], site_key(thing["site"])


def _covers(finding: Json) -> bool:
    return bool(finding["state"] == "open" and finding["kind"].startswith(("leak.", "crossing.process")))


def _usual_holds(report: Json) -> dict[object, float]:
    """Give for each line that has returned leases the seconds it held them, on average."""
    sites = [site for site in report.get("sites", ()) if site["site"] is not None and site["checkouts_total"]]
    return {_place(site): site["use_seconds_total"] / site["checkouts_total"] for site in sites}


def _may_be_back(lease: Json, usual: dict[object, float], process: Json) -> bool:
    """Tell whether a lease was as young at the last report as those that its line returns: it may be back as well."""
    hold = usual.get(_place(lease))
    return hold is not None and lease["age_seconds"] <= max(2 * hold, process.get("interval", 0.0))


def _finding(leases: list[Json], report: Json, process: Json) -> Json:
    oldest = max(leases, key=lambda lease: lease["age_seconds"])
    seen, many = process.get("seen_at") or report["generated_at"], len(leases)
    facts = {name: value for name, value in oldest.items() if name not in ("owner", "user", "site", "pool")}
    finding = Finding(
        "leak.process_ended",
        "proved",
        oldest["pool"],
        oldest.get("library", ""),
        _summary(oldest, many, process["pid"]),
        hint("leak.process_ended", "killed"),
        lease=facts,
        count=many,
        first_seen=seen,
        last_seen=seen,
        pid=process["pid"],
    )
    people = {(one.get("key"), _name(one)): {**one, "alive": False} for one in (oldest["owner"], oldest["user"])}
    return {**plain(finding), "site": oldest["site"], "owners": list(people.values())}


def _summary(oldest: Json, many: int, pid: int) -> str:
    site, who = oldest["site"], _name(oldest["user"])
    taken = f", taken at {site['file']}:{site['line']} {site['function']}" if site else ""
    died = f"Process {pid} died without a last word"
    if many == 1:
        return f"{died} while {who} still held a connection{taken}."
    return f"{died} and still held {many} connections{taken}, the oldest of them by {who}."


def _name(owner: Json) -> str:
    kind: OwnerKind = "task" if owner["task"] else "greenlet" if owner["greenlet"] else "thread"
    return str(Owner(owner["pid"], owner["thread"], kind, task=owner["task"], greenlet=owner["greenlet"]))
