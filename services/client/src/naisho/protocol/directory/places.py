"""Where a node can be reached: hosts, and the networks that they count as for path rules."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

#: A DNS name: letters, digits and hyphens in labels of 1 to 63, not all digits at the end (RFC 1123, 2.1).
_NAME: Final = re.compile(r"(?!-)(?:[a-z0-9-]{1,63}(?<!-)\.)*(?![0-9-])[a-z0-9-]{1,63}(?<!-)", re.ASCII)
MAX_HOST: Final = 253


def address_of(host: str) -> Address | None:
    """Return the IP address that a host is, or ``None`` for a DNS name; IPv4 inside IPv6 counts as IPv4."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_host(host: str) -> bool:
    """Tell whether a text is an IP address in its usual writing that can be contacted, or a lower-case DNS name."""
    if not 0 < len(host) <= MAX_HOST:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _NAME.fullmatch(host) is not None
    return str(address) == host and not (address.is_unspecified or address.is_multicast)


def network_of(host: str) -> str | None:
    """Return the network that an endpoint counts as: its IPv4 /24 or IPv6 /48; ``None`` for a DNS name.

    Two nodes in one such network are taken to be in one hand, or at least on one wire.
    """
    address = address_of(host)
    if address is None:
        return None
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))  # noqa: PLR2004 - IP versions and prefix lengths
