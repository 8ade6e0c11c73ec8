"""The chart's table of who talks to whom, and what the rendered NetworkPolicies let through, in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tests.charts.rendering import CHART, RELEASE, Manifest, Rendering, read

COMPONENT: Final = "app.kubernetes.io/component"


class Way(NamedTuple):
    """One permission, as seen from one of its ends.

    Attributes:
        source: a component, or a peer that is none, in the table's words.
        target: the same.
        ports: numbers; empty for every TCP port.
    """

    source: str
    target: str
    ports: frozenset[int]


def table() -> Mapping[str, Any]:
    """Return the table as it stands in the chart."""
    return read(CHART / "talks.yaml")


def wanted(rendering: Rendering, direction: str) -> set[Way]:
    """Return what the table says for the components' own policies.

    Args:
        rendering: whose values say which rows hold.
        direction: ``ingress`` or ``egress``.
    """
    talks, holds = table(), conditions(rendering)
    own = "to" if direction == "ingress" else "from"
    return {
        Way(row["from"], row["to"], _numbers(rendering, row))
        for row in talks["talks"]
        if row[own] in talks["ports"] and holds[row.get("when", "always")]
    }


def conditions(rendering: Rendering) -> dict[str, bool]:
    """Return which conditions of the table hold."""
    values = rendering.values
    return {
        "always": True,
        "bundled-nats": values["nats"]["enabled"],
        "external-nats": not values["nats"]["enabled"],
        "monitoring": values["monitoring"]["enabled"],
        "exposed": values["pool"]["exposure"]["type"] != "ClusterIP",
        "load": values["load"]["enabled"] and values["nats"]["enabled"],
        "relay": "relay.hosts" in values["pool"]["settings"]["onion"],
    }


def allowed(rendering: Rendering, direction: str) -> list[Way]:
    """Return what the rendered policies let through in one direction, row by row."""
    return [
        way
        for policy in rendering.of_kind("NetworkPolicy")
        for rule in policy["spec"].get(direction, [])
        for way in _ways(rendering, policy, rule, direction)
    ]


def _ways(rendering: Rendering, policy: Manifest, rule: Manifest, direction: str) -> Iterator[Way]:
    own = policy["spec"]["podSelector"]["matchLabels"][COMPONENT]
    numbers = frozenset(port["port"] for port in rule["ports"] if "port" in port)
    peers = rule.get("from" if direction == "ingress" else "to")
    other = _peer(rendering, peers, direction, numbers)
    yield Way(other, own, numbers) if direction == "ingress" else Way(own, other, numbers)


def _peer(rendering: Rendering, peers: list[Manifest] | None, direction: str, numbers: frozenset[int]) -> str:
    """Return what the table calls these peers."""
    policies = rendering.values["networkPolicy"]
    if peers is None:
        if direction == "ingress":
            return "anybody"
        if numbers == frozenset(policies["apiServer"]["ports"]):
            return "api-server"
        return "exposed-nodes" if rendering.values["nats"]["enabled"] else "external-nats"
    if peers == [{"ipBlock": {"cidr": cidr}} for cidr in policies["externalNats"]["cidrs"]]:
        return "external-nats"
    first = peers[0]
    if "ipBlock" in first:
        return "relay-hosts"
    labels = first["podSelector"]["matchLabels"]
    if "namespaceSelector" in first:
        return "cluster-dns" if labels == policies["dns"]["podLabels"] else "monitoring"
    assert len(peers) == 1
    assert labels == {
        "app.kubernetes.io/name": "naisho",
        "app.kubernetes.io/instance": RELEASE,
        COMPONENT: labels[COMPONENT],
    }, "pods of another release would be let in"
    return str(labels[COMPONENT])


def _numbers(rendering: Rendering, row: Mapping[str, Any]) -> frozenset[int]:
    ports, policies = table()["ports"], rendering.values["networkPolicy"]
    if row["to"] in ports:
        return frozenset(ports[row["to"]][name] for name in row["ports"])
    balanced = rendering.values["pool"]["exposure"]["type"] == "LoadBalancer"
    servers = rendering.values["nats"]["external"]["servers"]
    by_name = {
        "api": policies["apiServer"]["ports"],
        "dns": policies["dns"]["ports"],
        "relay": policies["relay"]["ports"],
        "client": [int(server.rpartition(":")[2]) for server in servers],
        "exposed": [ports["node"]["https"]] if balanced else [],
    }
    return frozenset(number for name in row["ports"] for number in by_name[name])
