"""Networks on paper: keys, nodes and signed directories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from naisho.protocol import ring
from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import (
    Directory,
    Endpoint,
    Grade,
    Node,
    NodeState,
    Purpose,
    SigningKeys,
    Transport,
    delegate,
    sign_directory,
)
from naisho.protocol.directory.model import HOUR_MS, VALIDITY_MS
from naisho.protocol.directory.signatures import certificate_body, sign
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.signing import SigningKey

NOW_MS = 1_800_000_000_000
NETWORK_ID = "n-3f9c2a"


def key(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()).digest())


@dataclass
class Paper:
    """A network that exists on paper alone; all of its secrets are at hand."""

    root: SigningKey
    signing: SigningKey
    network: NetworkFile
    signing_keys: bytes

    def node(self, index: int, **changes: object) -> Node:
        own = key(f"node {index}")
        certificate = f"certificate of {index}".encode()
        node = Node(
            key=own.public,
            x25519=ed25519_to_x25519(own.public),
            endpoints=(
                Endpoint(Transport.HTTPS, f"10.0.{index}.1", 22021),
                Endpoint(Transport.HOP, f"10.0.{index}.1", 22022),
            ),
            family=("aoi", "bergen", "citrus")[index % 3],
            country=("JP", "NO", "PT")[index % 3],
            version=(2, 11, 0),
            state=NodeState.ACTIVE,
            swarm_id=ring.swarm_id(0),
            certificate=certificate,
            certificate_signature=sign(
                own, Purpose.CERTIFICATE, self.network.network_id, certificate_body(certificate)
            ),
        )
        return replace(node, **changes)  # type: ignore[arg-type]  # tests name fields

    def directory(self, *nodes: Node, **changes: object) -> Directory:
        chosen = nodes or tuple(self.node(index) for index in range(5))
        directory = Directory(
            network_id=self.network.network_id,
            grade=Grade.SINGLE_OPERATOR,
            epoch=1,
            issued_ms=NOW_MS,
            expires_ms=NOW_MS + VALIDITY_MS,
            previous=b"",
            nodes=tuple(sorted(chosen, key=lambda node: node.key)),
        )
        return replace(directory, **changes)  # type: ignore[arg-type]  # tests name fields

    def sign(self, directory: Directory | None = None) -> Directory:
        return sign_directory(directory or self.directory(), self.signing_keys, [self.signing])

    def delegation(self, *roots: SigningKey, **changes: object) -> bytes:
        keys = SigningKeys(NETWORK_ID, (self.signing.public,), 1, NOW_MS + 30 * 24 * HOUR_MS, 1, 999_999)
        return delegate(replace(keys, **changes), roots or [self.root])  # type: ignore[arg-type]  # tests name fields


@pytest.fixture
def make_key() -> Callable[[str], SigningKey]:
    return key


@pytest.fixture
def now_ms() -> int:
    return NOW_MS


@pytest.fixture
def paper() -> Paper:
    root, signing = key("root"), key("signing")
    made = Paper(root, signing, NetworkFile(NETWORK_ID, (root.public,)), b"")
    made.signing_keys = made.delegation()
    return made
