"""Compares what the pools of all processes may open with what their server allows."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from poolwatch.collecting.servers import Server
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Json, plain
from poolwatch.text.words import several

KIND = "capacity.oversubscribed"


def told(servers: Iterable[Server], reports: list[Json]) -> list[Json]:
    """Give what the report says of each server, beside the processes in ``reports``."""
    return [_told(server, reports) for server in servers]


def _told(server: Server, reports: list[Json]) -> Json:
    pools = _pools(server, reports)
    facts = server.facts
    limits = [pool["limits"]["max"] for pool in pools]
    return {
        "name": server.name,
        "error": server.error,
        "answered_at": server.answered_at or None,
        "max_connections": facts.max_connections if facts else None,
        "reserved": facts.reserved if facts else None,
        "connections": facts.connections if facts else None,
        "pool_limit": sum(limit for limit in limits if limit is not None),
        "pools": len(pools),
        "unlimited_pools": limits.count(None),
        "sessions_elsewhere": _elsewhere(facts.others, pools) if facts else None,
    }


def _pools(server: Server, reports: list[Json]) -> list[Json]:
    addresses = {_plain(address) for address in server.addresses}
    return [
        pool
        for report in reports
        for pool in report["pools"]
        if any(_plain(peer) in addresses for peer in pool.get("peers", ()))
    ]


def _plain(address: str) -> str:
    """Give an address such that all that lead to this host alone are the same."""
    host, _, port = address.rpartition(":")
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name: servers say "localhost"
        loopback = host == "localhost"
    return f"localhost:{port}" if loopback else address


def _elsewhere(sessions: Iterable[str], pools: Iterable[Json]) -> int:
    """Count the sessions that belong to no pool of these processes."""
    ours = {_plain(socket["local"]) for pool in pools for socket in pool.get("sockets", ())}
    return sum(_plain(whence) not in ours for whence in sessions)


def findings(servers: Iterable[Json]) -> list[Json]:
    """Give ``capacity.oversubscribed`` for each server whose pools may open more than it allows: suspected."""
    return [plain(_finding(server)) for server in servers if _is_oversubscribed(server)]


def _is_oversubscribed(server: Json) -> bool:
    most, limit = server["max_connections"], server["pool_limit"]
    return most is not None and limit > most - server["reserved"]


def _finding(server: Json) -> Finding:
    most, kept = server["max_connections"], server["reserved"]
    but = f", {kept} of them for administrators only" if kept else ""
    and_more = f", and {server['unlimited_pools']} more know no limit" if server["unlimited_pools"] else ""
    return Finding(
        KIND,
        "suspected",
        server["name"],
        "",
        f"{several(server['pools'], 'pool')} may open {server['pool_limit']} connections to {server['name']}"
        f" together{and_more}; the server allows {most}{but}.",
        hint(KIND),
        lease={name: server[name] for name in ("max_connections", "reserved", "pool_limit", "unlimited_pools")},
    )
