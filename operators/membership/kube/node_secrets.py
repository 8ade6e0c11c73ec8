"""A node's own Secrets: the key that names it, its certificate, its user of the log."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from naisho.protocol.signing import SigningKey
from operators.membership.domain.errors import KeyFileError
from operators.membership.kube.users import Users
from operators.membership.kube.vault import Content, Vault
from operators.membership.manifests.site import node_keys, node_nats
from operators.membership.nats_rights import node_user
from services.chassis.certificates import Identity
from services.chassis.nats.names import NetworkNames

#: A user's Secret is looked at so often; it is renewed weeks before it ends.
_LOOK_EVERY_S: Final = 6 * 3600
_KEY: Final = "node.key"


class NodeSecrets:
    """Makes nodes' Secrets.

    Args:
        vault: where they lie.
        users: of the log.
        network_id: the network's.
    """

    def __init__(self, vault: Vault, users: Users, network_id: str) -> None:
        self._vault = vault
        self._users = users
        self._names = NetworkNames(network_id)
        self._looked_s: dict[str, int] = {}

    async def obtain(self, node: str, known_key: str, *, now_s: int) -> str:
        """Return a node's public key, hex; if it has none yet, it gets one.

        Args:
            node: its name.
            known_key: the key that the register has; empty if none.
            now_s: the present, seconds since 1970.

        Raises:
            KeyFileError: the register knows another key, or the key that it knows is lost.
            KubeError: the API server does not answer, or refuses.
        """
        if known_key and now_s - self._looked_s.get(node, -_LOOK_EVERY_S) < _LOOK_EVERY_S:
            return known_key
        if known_key:
            content = await self._vault.read(node_keys(node))
            if content is None:
                raise KeyFileError(f"Secret {node_keys(node)} is lost; restore it, or drain the node without waiting")
        else:
            content = await self._vault.obtain(node_keys(node), "node", new_identity)
        key = SigningKey(bytes.fromhex(content[_KEY].decode())).public.hex()
        if known_key not in {"", key}:
            raise KeyFileError(f"Secret {node_keys(node)} holds another key than the register knows; restore it")
        await self._users.obtain(node_nats(node), "node", partial(node_user, self._names, key), now_s=now_s)
        self._looked_s[node] = now_s
        return key

    async def forget(self, node: str) -> None:
        """Take a node's user of the log away; its key stays, though it will not be used again."""
        self._looked_s.pop(node, None)
        await self._vault.erase(node_nats(node))


def new_identity() -> Content:
    """Make a node's key and its certificate: the files that a node reads, by name."""
    seed = secrets.token_bytes(32)
    name = SigningKey(seed).public.hex()
    with TemporaryDirectory() as folder:
        Identity.make(name).write(Path(folder))
        files: Mapping[str, bytes] = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return {_KEY: seed.hex().encode() + b"\n", **files}
