"""The keys of a local network: each made once, kept in the data directory, readable by its owner alone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from naisho.protocol.signing import SigningKey
from operators.local.errors import BrokenHome
from operators.local.home import NetworkHome, write_private
from operators.local.plan import NetworkPlan, NodePlan
from services.chassis.certificates import Identity
from services.chassis.nats import nkey

SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """One node: the key that names it, its certificates, and its NATS user."""

    plan: NodePlan
    #: 32 bytes, the Ed25519 seed that signs receipts and, converted, opens layers.
    seed: bytes = field(repr=False)
    #: Who it is to other nodes, pinned by the directory.
    hop: Identity
    #: Its public HTTPS certificate, which nobody pins.
    https: Identity
    nkey_seed: bytes = field(repr=False)
    folder: Path

    @property
    def key(self) -> bytes:
        """The node's Ed25519 public key."""
        return SigningKey(self.seed).public

    @classmethod
    def obtain(cls, home: NetworkHome, plan: NodePlan) -> Self:
        """Read a node's keys, or make them."""
        folder = home.node(plan)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        seed = obtain_seed(folder / "node.key")
        name = SigningKey(seed).public.hex()
        return cls(
            plan,
            seed,
            _identity(folder / "hop", name),
            _identity(folder / "https", name, "127.0.0.1"),
            obtain_seed(folder / "nats.key"),
            folder,
        )


@dataclass(frozen=True, slots=True)
class LocalIdentities:
    """Everybody's keys, for the composition root alone."""

    nodes: tuple[NodeIdentity, ...]
    authority_nkey: bytes = field(repr=False)
    custodian_nkey: bytes = field(repr=False)

    @classmethod
    def obtain(cls, home: NetworkHome, plan: NetworkPlan) -> Self:
        """Read all keys, or make those that are missing."""
        return cls(
            tuple(NodeIdentity.obtain(home, node) for node in plan.nodes),
            obtain_seed(home.secrets / "authority-nats.key"),
            obtain_seed(home.custodian_key),
        )


def obtain_seed(path: Path) -> bytes:
    """Read 32 bytes written as hex, or make them.

    Raises:
        BrokenHome: the file holds something else.
    """
    if not path.exists():
        write_private(path, secrets.token_hex(SEED_BYTES).encode() + b"\n")
    try:
        seed = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise BrokenHome(f"{path} should hold {2 * SEED_BYTES} hex digits; start over with: naisho network up --fresh")
    return seed


def nats_public(seed: bytes) -> str:
    """Return the text form of a NATS user's public key."""
    return nkey.public_key(seed)


def _identity(folder: Path, name: str, *addresses: str) -> Identity:
    if not folder.exists():
        Identity.make(name, addresses=addresses).write(folder)
    return Identity.read(folder)
