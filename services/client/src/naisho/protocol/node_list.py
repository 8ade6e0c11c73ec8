"""The binary node list ``active_nodes_bin`` (wire 2.4): 51 bytes for each node, integers big-endian, no header."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from naisho.protocol.errors import BadNodeList

RECORD_BYTES: Final = 51
#: Longest list that is read; far more nodes than any network of this kind has.
MAX_RECORDS: Final = 50_000

_RECORD: Final = struct.Struct(">32sQ4sHH3B")
_UNKNOWN_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - the wire's own word for "none", never bound to
_MAX_VERSION_PART: Final = 255


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """One active node."""

    #: 32 bytes.
    ed25519: bytes
    swarm_id: int
    #: Dotted IPv4; ``0.0.0.0`` if unknown.
    ip: str
    https_port: int
    #: Port for QUIC and OMQ; 0 if there is none.
    quic_port: int
    #: Major, minor, patch of the storage server.
    version: tuple[int, int, int]

    @property
    def usable(self) -> bool:
        """Whether clients keep the record: address, QUIC port and version must be known."""
        return self.ip != _UNKNOWN_ADDRESS and self.quic_port != 0 and self.version != (0, 0, 0)


def encode(records: Iterable[NodeRecord]) -> bytes:
    """Write a list; version parts are capped at 255.

    Raises:
        BadNodeList: a field does not fit its place.
    """
    return b"".join(map(_encode_record, records))


def _encode_record(record: NodeRecord) -> bytes:
    if len(record.ed25519) != 32:  # noqa: PLR2004 - Struct would pad a shorter key in silence
        raise BadNodeList("a node's key has 32 bytes")
    try:
        address = IPv4Address(record.ip).packed
        version = [min(part, _MAX_VERSION_PART) for part in record.version]
        return _RECORD.pack(record.ed25519, record.swarm_id, address, record.https_port, record.quic_port, *version)
    except (AddressValueError, struct.error):
        raise BadNodeList("a node's address, port, swarm or version does not fit") from None


def decode(data: bytes) -> list[NodeRecord]:
    """Read a list; records that are not ``usable`` are among them.

    Raises:
        BadNodeList: the length is not a multiple of 51, or above ``MAX_RECORDS`` records.
    """
    if len(data) % RECORD_BYTES or len(data) > RECORD_BYTES * MAX_RECORDS:
        raise BadNodeList("a node list is made of records of 51 bytes")
    return [
        NodeRecord(key, swarm, ".".join(map(str, address)), https, quic, (major, minor, patch))
        for key, swarm, address, https, quic, major, minor, patch in _RECORD.iter_unpack(data)
    ]
