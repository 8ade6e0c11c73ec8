"""Which servers outside the network a node relays to. Off unless hosts are listed."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
IpNetwork: TypeAlias = IPv4Network | IPv6Network

#: Global by number, yet answered by the cloud that a node runs in, or never a server.
_NEVER: Final = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's platform service
            "192.0.0.0/24",  # protocol assignments; metadata at some clouds
            "192.88.99.0/24",  # 6to4 relays
            "192.31.196.0/24",  # AS112
            "192.175.48.0/24",
            "2001::/23",  # protocol assignments, Teredo and ORCHID among them
            "3fff::/20",  # documentation
            "5f00::/16",  # segment routing
            "fec0::/10",  # site-local, of old
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_6TO4: Final = IPv6Network("2002::/16")
_COMPATIBLE: Final = IPv6Network("::/96")


class RelayRefused(Exception):
    """A request to a server is refused; goes into the layer's encryption with status 403.

    Attributes:
        text: what is wrong and what would be right.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class RelayRules:
    """Whom to relay to.

    Args:
        hosts: names or addresses, lower-case; ``*.example.org`` is every name below ``example.org``.
        forbidden: further networks never to connect to, such as a cluster's pods and services.
        anywhere: connect to private and loopback addresses, too. For laboratories only.
    """

    def __init__(self, hosts: Iterable[str], forbidden: Iterable[str] = (), *, anywhere: bool = False) -> None:
        listed = {host.lower().rstrip(".") for host in hosts}
        self._suffixes = tuple(host[1:] for host in listed if host.startswith("*."))
        self._hosts = frozenset(host for host in listed if not host.startswith("*."))
        self._forbidden: tuple[IpNetwork, ...] = (*map(ip_network, forbidden),)
        self._anywhere = anywhere

    def check_host(self, host: str) -> None:
        """Refuse a host that is not listed.

        Raises:
            RelayRefused: with the reason.
        """
        if not self._hosts and not self._suffixes:
            raise RelayRefused("This node relays to no servers; use a node whose operator allows it")
        name = host.lower().rstrip(".").removeprefix("[").removesuffix("]")
        if name not in self._hosts and not (self._suffixes and name.endswith(self._suffixes)):
            raise RelayRefused("This node relays to listed servers only, and this is none of them")

    def check_addresses(self, addresses: Iterable[Address]) -> None:
        """Refuse a server any of whose addresses is none of the public internet.

        Raises:
            RelayRefused: with the reason.
        """
        if not all(self._allowed(address) for address in addresses):
            raise RelayRefused("This node relays to addresses of the public internet only")

    def _allowed(self, address: Address) -> bool:
        forms = (address, *_embedded(address))
        if any(form in network for form in forms for network in self._forbidden):
            return False
        return self._anywhere or all(_public(form) for form in forms)


def _embedded(address: Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that an IPv6 address may lead to."""
    if isinstance(address, IPv4Address):
        return ()
    number = int(address)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _6TO4:
        return (IPv4Address(number >> 80 & 0xFFFFFFFF),)
    if address in _NAT64 or address in _NAT64_LOCAL or address in _COMPATIBLE:
        return (IPv4Address(number & 0xFFFFFFFF),)
    return ()


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address in _NAT64):
        return True  # as public as the IPv4 address in it
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not any(address in network for network in _NEVER)
    )
