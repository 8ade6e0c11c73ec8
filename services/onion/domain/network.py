"""What a node knows of its network: the newest directory that it believes."""

from __future__ import annotations

from naisho.protocol.directory import Directory, Freshness, Node, verify
from naisho.protocol.network_file import NetworkFile


class Network:
    """The newest believed directory.

    Args:
        file: what was known beforehand: network id, root keys, lowest grade.
        own_key: this node's Ed25519 public key.
    """

    def __init__(self, file: NetworkFile, own_key: bytes) -> None:
        self.own_key = own_key
        self.directory: Directory | None = None
        self._file = file

    @property
    def epoch(self) -> int:
        """Epoch of the directory; 0 without one."""
        return 0 if self.directory is None else self.directory.epoch

    def learn(self, signed: bytes, now_ms: int) -> bool:
        """Believe a signed directory; tell whether it is another one than before.

        Raises:
            DirectoryError: it may not be believed; what was known before stays.
        """
        before = self.directory
        if before is not None and before.signed == signed:
            return False
        directory = verify(
            signed, network=self._file, now_ms=now_ms, newest_epoch_seen=0 if before is None else before.epoch
        )
        self.directory = directory
        return before is None or before.digest != directory.digest

    def find(self, key: bytes) -> Node | None:
        """Return the node with an Ed25519 key, in whatever state it is."""
        return None if self.directory is None else self.directory.by_key.get(key)

    def problem(self, now_ms: int) -> str:
        """Say why nothing may be relayed or answered by this directory; empty if nothing stands against it."""
        if self.directory is None:
            return "no directory of the network yet"
        if now_ms >= self.directory.expires_ms:
            return "the directory of the network has expired"
        return ""

    def freshness(self, now_ms: int) -> Freshness:
        """Tell how old the directory is; none at all counts as expired."""
        return Freshness.EXPIRED if self.directory is None else self.directory.freshness(now_ms)
