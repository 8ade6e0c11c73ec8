"""Ways in which clients reach nodes: each rolled in under load, and a sealed message sent over it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import Any

from tests.cluster.kubectl import CommandFailed, Installed
from tests.cluster.steps import Step

#: Addresses of the load balancers that are played: the end of the lab's range of Services, since packets to others find
#: no way out of its network. kube-proxy takes them as it would take any.
_FIRST_BALANCER = ip_address("10.96.255.1")
_HTTPS = 8443
_FIRST_HOST_PORT = 28443
_LOOK_S = 0.5


def node_ports(image: str) -> Step:
    """Reach nodes at ports of their machines that the cluster chose."""

    def expected(node: Node) -> str:
        port = next(port["nodePort"] for port in node.service["spec"]["ports"] if port["name"] == "https")
        return f"{node.machine_address}:{port}"

    async def do(network: Installed) -> None:
        await _expose(network, image, "NodePort", expected)

    return Step("nodes are reached by NodePort", do)


def host_ports(image: str) -> Step:
    """Reach nodes at ports of their machines that were counted off."""

    def expected(node: Node) -> str:
        return f"{node.machine_address}:{_FIRST_HOST_PORT + node.ordinal}"

    async def do(network: Installed) -> None:
        await _expose(network, image, "HostPort", expected)

    return Step("nodes are reached by hostPort", do)


def load_balancers(image: str) -> Step:
    """Reach each node at a load balancer of its own.

    The lab has nobody who makes them; there their addresses are told to the Services from here, and kube-proxy does
    with them what it does anywhere.
    """

    def expected(node: Node) -> str:
        (point,) = node.service["status"]["loadBalancer"]["ingress"]
        return f"{point['ip']}:{_HTTPS}"

    async def do(network: Installed) -> None:
        async with _balancers(network):
            await _expose(network, image, "LoadBalancer", expected)

    return Step("nodes are reached by LoadBalancer", do)


class Node:
    """One node's objects.

    Args:
        resource: its ServiceNode.
        service: its Service.
        pod: its pod.
    """

    def __init__(self, resource: dict[str, Any], service: dict[str, Any], pod: dict[str, Any]) -> None:
        self.name: str = resource["metadata"]["name"]
        self.ordinal = int(resource["spec"]["ordinal"])
        self.address: str = resource["status"]["address"]
        self.service = service
        self.machine_address: str = pod["status"]["hostIP"]


async def _expose(network: Installed, image: str, kind: str, expected: Callable[[Node], str]) -> None:
    await network.install(image, f"pool.exposure.type={kind}")
    await network.until("everything is whole", network.whole)
    for node in await _nodes(network):
        if node.address != expected(node):
            raise CommandFailed(f"{node.name} is at {node.address}, and not at {expected(node)}")
    await network.helm("test", network.release, "--timeout", "5m")


async def _nodes(network: Installed) -> list[Node]:
    by_name: list[dict[str, dict[str, Any]]] = []
    for kind in ("servicenodes", "services", "pods"):
        items = (await network.get(kind, "--selector", "naisho.dev/node"))["items"]
        by_name.append({item["metadata"]["labels"]["naisho.dev/node"]: item for item in items})
    resources, services, pods = by_name
    return [Node(resource, services[name], pods[name]) for name, resource in resources.items()]


@contextlib.asynccontextmanager
async def _balancers(network: Installed) -> AsyncIterator[None]:
    """Give addresses to Services that ask for one, if this is the lab."""
    if "KUBE_LAB" not in os.environ:
        yield
        return
    playing = asyncio.create_task(_play(network))
    try:
        yield
    finally:
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing


async def _play(network: Installed) -> None:
    given: dict[str, str] = {}
    while True:
        with contextlib.suppress(CommandFailed):
            for service in (await network.get("services", "--selector", "naisho.dev/node"))["items"]:
                name = service["metadata"]["name"]
                if service["spec"]["type"] == "LoadBalancer" and not service["status"]["loadBalancer"].get("ingress"):
                    address = given.setdefault(name, str(_FIRST_BALANCER + len(given)))
                    status = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
                    await network.patch("service", name, status, subresource="status")
        await asyncio.sleep(_LOOK_S)
