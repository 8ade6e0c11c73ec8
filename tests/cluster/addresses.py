"""Who has which address in an installed network, and so who is at the other end of a socket."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

#: As they stand in /proc/net/tcp.
_LISTENING: Final = "0A"
#: The other end may be gone: both kinds of waiting for the end, the wait after it, and what one end has closed.
_ENDING: Final = frozenset({"04", "05", "06", "08", "09", "0B"})

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Talk(NamedTuple):
    """Somebody has connected to somebody, in the table's words; what has no word there is named by its address."""

    source: str
    target: str
    port: str


class End(NamedTuple):
    """One end of a connection."""

    address: Address
    port: int


class Socket(NamedTuple):
    """One row of /proc/net/tcp or /proc/net/udp.

    Attributes:
        local: this pod's end.
        remote: the other end; all zeros for one that listens.
        state: two hex digits.
    """

    local: End
    remote: End
    state: str


class Pod(NamedTuple):
    """A pod and what it had within the time that it was watched.

    Attributes:
        component: what it is.
        probed: numbers of the ports that the kubelet asks.
        sockets: all that were seen.
    """

    component: str
    probed: frozenset[int]
    sockets: frozenset[Socket]


@dataclass(frozen=True)
class Book:
    """Who has which address.

    Attributes:
        components: of pods and of Services.
        others: single ports of somebody outside, as (who, port's name).
        machines: addresses of the machines that pods run on, as pods see them.
        present: addresses that any pod or Service of the cluster has, of whatever release.
        inside: the networks that such addresses are of.
        ports: names by component and number.
    """

    components: Mapping[Address, str]
    others: Mapping[End, tuple[str, str]]
    machines: frozenset[Address]
    present: frozenset[Address]
    inside: tuple[Network, ...]
    ports: Mapping[str, Mapping[int, str]]

    def talks(self, pod: Pod) -> set[Talk]:
        """Return what a pod's sockets show."""
        doors = frozenset(socket.local.port for socket in pod.sockets if socket.state == _LISTENING)
        return {
            talk
            for socket in pod.sockets
            if not (socket.state == _LISTENING or socket.remote.port == 0 or _own(socket))
            if (talk := self._came(pod, socket) if socket.local.port in doors else self._went(pod, socket))
        }

    def _came(self, pod: Pod, socket: Socket) -> Talk | None:
        """Return who has come in; None if that is the kubelet, or somebody who is gone."""
        address, port = socket.remote.address, socket.local.port
        source = self.components.get(address)
        if source is None and address in self.machines and port in pod.probed:
            return None
        if source is None and self._gone(socket):
            return None
        return Talk(source or str(address), pod.component, self._name(pod.component, port))

    def _went(self, pod: Pod, socket: Socket) -> Talk | None:
        """Return where the pod has gone to; None if nobody is there any more."""
        address, port = socket.remote
        if known := self.others.get(socket.remote):
            return Talk(pod.component, *known)
        if target := self.components.get(address):
            return Talk(pod.component, target, self._name(target, port))
        return None if self._gone(socket) else Talk(pod.component, str(address), str(port))

    def _gone(self, socket: Socket) -> bool:
        """Tell whether this is what is left of a connection with a pod or a Service that is no longer there."""
        address = socket.remote.address
        return (
            socket.state in _ENDING
            and address not in self.present
            and any(address in network for network in self.inside)
        )

    def _name(self, component: str, port: int) -> str:
        return self.ports.get(component, {}).get(port, str(port))


def address_of(text: str) -> Address:
    """Return an address that the kernel wrote: words of four bytes, each in the machine's own (little-endian) order."""
    raw = bytes.fromhex(text)
    address = ipaddress.ip_address(b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4)))
    return getattr(address, "ipv4_mapped", None) or address


def socket_of(local: str, remote: str, state: str) -> Socket:
    """Return a row's socket, its ends as the kernel wrote them: ``0100007F:1F90``."""
    ends = [End(address_of(address), int(port, 16)) for address, port in (local.split(":"), remote.split(":"))]
    return Socket(ends[0], ends[1], state)


def probed_ports(spec: Mapping[str, Any]) -> frozenset[int]:
    """Return the numbers of the ports that the probes of a pod ask."""
    found = set()
    for container in spec["containers"]:
        numbers = {port.get("name"): port["containerPort"] for port in container.get("ports", ())}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container.get(kind, {})
            asked = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
            if asked is not None:
                found.add(int(numbers.get(asked, asked)))
    return frozenset(found)


def component(item: Mapping[str, Any]) -> str:
    """Return what a labelled object of a release is part of."""
    return str(item["metadata"]["labels"]["app.kubernetes.io/component"])


def book_of(
    *,
    table: Mapping[str, Any],
    pods: Iterable[Mapping[str, Any]],
    services: Iterable[Mapping[str, Any]],
    strangers: Iterable[Mapping[str, Any]],
    machines: Iterable[Mapping[str, Any]],
    api: Iterable[Mapping[str, Any]],
    told: Iterable[Mapping[str, Any]],
) -> Book:
    """Return who has which address.

    Args:
        table: the chart's.
        pods: the release's, those that run.
        services: the release's.
        strangers: pods that run and Services, of everybody.
        machines: the cluster's nodes.
        api: Service and Endpoints of the API server.
        told: what pods know of their surroundings: ``gateways`` (as the kernel writes them) and ``nameservers``.
    """
    surroundings = list(told)
    nodes = list(machines)
    components: dict[Address, str] = {}
    for pod in pods:
        components |= dict.fromkeys(addresses_of(pod), component(pod))
    for service in services:
        # The pods behind the Service of those who join are nodes.
        behind = "node" if component(service) == "seed" else component(service)
        components |= dict.fromkeys(addresses_of(service), behind)
    virtual = {address for one in strangers if "clusterIP" in one["spec"] for address in addresses_of(one)}
    present = {address for one in strangers for address in addresses_of(one)} | components.keys()
    others = {End(*end): ("api-server", "api") for end in _api_ends(api)}
    for one in surroundings:
        others |= {End(ipaddress.ip_address(name), 53): ("cluster-dns", "dns") for name in one["nameservers"]}
    addresses = {
        ipaddress.ip_address(one["address"])
        for node in nodes
        for one in node["status"]["addresses"]
        if one["type"] in ("InternalIP", "ExternalIP")
    }
    # The kubelet comes from the machine's end of the pod's line.
    addresses |= {address_of(gateway) for one in surroundings for gateway in one["gateways"]}
    networks = tuple(ipaddress.ip_network(node["spec"]["podCIDR"]) for node in nodes if "podCIDR" in node["spec"])
    names = {component: {number: name for name, number in ports.items()} for component, ports in table["ports"].items()}
    inside = (*networks, *spans(virtual))
    return Book(components, others, frozenset(addresses), frozenset(present), inside, names)


def addresses_of(item: Mapping[str, Any]) -> set[Address]:
    """Return the addresses of a pod, or of a Service."""
    own = [one["ip"] for one in item["status"].get("podIPs", ())] if "status" in item else []
    own += [item["spec"]["clusterIP"]] if item["spec"].get("clusterIP", "None") not in ("", "None") else []
    return {ipaddress.ip_address(address) for address in own}


def spans(addresses: Iterable[Address]) -> list[Network]:
    """Return the smallest network that has all of these addresses, for each kind of address."""
    found = []
    for version in (4, 6):
        alike = sorted((one for one in addresses if one.version == version), key=int)
        if alike:
            network = ipaddress.ip_network(alike[0])
            while alike[-1] not in network:
                network = network.supernet()
            found.append(network)
    return found


def _api_ends(api: Iterable[Mapping[str, Any]]) -> Iterable[tuple[Address, int]]:
    for item in api:
        if item["kind"] == "Service":
            for port in item["spec"]["ports"]:
                yield ipaddress.ip_address(item["spec"]["clusterIP"]), port["port"]
        for subset in item.get("subsets", ()):
            for address in subset["addresses"]:
                for port in subset["ports"]:
                    yield ipaddress.ip_address(address["ip"]), port["port"]


def _own(socket: Socket) -> bool:
    """Tell whether both ends are in the pod, which is nobody else's business."""
    return socket.remote.address.is_loopback or socket.remote.address == socket.local.address
