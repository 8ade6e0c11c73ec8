"""The node list that requests are answered from: a view of the newest directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from naisho.protocol.directory import Directory, Node, Transport
from naisho.protocol.ring import INVALID_SWARM
from services.swarm.domain.ports import NodeContact


class DirectoryNodes:
    """``NodeList`` on the newest directory; empty before the first, and once it has expired.

    Args:
        own_key: this node's Ed25519 public key.
        now_ms: the present, milliseconds since 1970.
    """

    def __init__(self, own_key: bytes, now_ms: Callable[[], int]) -> None:
        self._own_key = own_key
        self._now_ms = now_ms
        self._directory: Directory | None = None
        self._active: tuple[NodeContact, ...] = ()
        self._members: dict[int, tuple[NodeContact, ...]] = {}

    def show(self, directory: Directory) -> None:
        """Answer from another directory."""
        self._directory = directory
        contacts = (contact_of(node) for node in directory.listed_nodes)
        self._active = tuple(contact for contact in contacts if contact is not None)
        self._members = {
            swarm: tuple(contact for contact in self._active if contact.swarm_id == swarm)
            for swarm in directory.swarm_ids
        }

    @property
    def directory(self) -> Directory | None:
        """The directory that is answered from; ``None`` if there is none or it has expired."""
        directory = self._directory
        return directory if directory is not None and self._now_ms() < directory.expires_ms else None

    @property
    def own_key(self) -> bytes:
        """See ``NodeList``."""
        return self._own_key

    @property
    def own_swarm(self) -> int:
        """See ``NodeList``."""
        directory = self.directory
        own = directory.by_key.get(self._own_key) if directory else None
        return own.swarm_id if own else INVALID_SWARM

    @property
    def height(self) -> int:
        """See ``NodeList``."""
        return self._directory.epoch if self._directory else 0

    def active(self) -> Sequence[NodeContact]:
        """See ``NodeList``: all listed nodes, those lately missed and those leaving included."""
        return self._active if self.directory else ()

    def swarm_ids(self) -> Sequence[int]:
        """See ``NodeList``."""
        directory = self.directory
        return directory.swarm_ids if directory else ()

    def members(self, swarm_id: int) -> Sequence[NodeContact]:
        """See ``NodeList``."""
        return self._members.get(swarm_id, ()) if self.directory else ()


def contact_of(node: Node) -> NodeContact | None:
    """Return a node as the wire protocol's lists name it; ``None`` if it has no public IPv4 address."""
    https = node.endpoint(Transport.HTTPS, ip_version=4)
    if https is None:
        return None
    return NodeContact(
        ed25519=node.key,
        x25519=node.x25519,
        ip=https.host,
        https_port=https.port,
        # Nothing speaks QUIC yet; lists need a port that is not zero (wire 2.4).
        quic_port=https.port,
        swarm_id=node.swarm_id,
        version=node.version,
    )
