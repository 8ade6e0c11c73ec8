"""A node with mailboxes in memory, and accounts that ask it for things."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import orjson
import pytest

from naisho.protocol.account import AccountKeys
from naisho.protocol.ring import INVALID_SWARM, choose_swarm, position, swarm_id
from naisho.protocol.service_nodes import ServiceNode
from naisho.protocol.signing import SigningKey
from services.swarm.adapters.memory_mailboxes import MemoryMailboxes
from services.swarm.api.dispatch import RpcSettings, StorageRpc
from services.swarm.domain.policies import Quotas

NOW_MS = 1_700_000_000_000
DAY = 86_400_000
DIRECT, ONION = 1, 2


class Outcome(NamedTuple):
    status: int
    #: JSON, text, or octets.
    body: Any


@dataclass
class Nodes:
    """A network of one swarm, or of several."""

    own_key: bytes = bytes(32)
    own_swarm: int = swarm_id(64)
    height: int = 7
    listed: list[ServiceNode] = field(default_factory=list)

    def active(self) -> Sequence[ServiceNode]:
        return self.listed

    def swarm_ids(self) -> Sequence[int]:
        return sorted({node.swarm_id for node in self.listed} - {INVALID_SWARM})

    def members(self, swarm_id: int) -> Sequence[ServiceNode]:
        return [node for node in self.listed if node.swarm_id == swarm_id]


def contact(number: int, swarm: int) -> ServiceNode:
    return ServiceNode(
        bytes([number]) * 32, bytes([number + 100]) * 32, f"10.0.0.{number}", 22021, 22020, swarm, (2, 11, 0)
    )


@dataclass
class World:
    """One node, its clock, its network and its members' keys."""

    now: int = NOW_MS
    settings: RpcSettings = field(default_factory=RpcSettings)
    quotas: Quotas = field(default_factory=Quotas)
    nodes: Nodes = field(default_factory=Nodes)
    members: list[SigningKey] = field(default_factory=lambda: [SigningKey(bytes([n]) * 32) for n in (1, 2, 3)])
    unready: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes.listed += [contact(number, self.nodes.own_swarm) for number in (1, 2, 3)]
        self.mailboxes = MemoryMailboxes(self.members, lambda: self.now, self.quotas)
        self.rpc = StorageRpc(
            self.mailboxes,
            self.nodes,
            lambda: self.now,
            settings=self.settings,
            unready=lambda: self.unready,
            rng=Random(1),
        )

    async def raw(self, body: bytes, call: int = DIRECT) -> Outcome:
        reply = await self.rpc.handle(call, body)
        if reply.binary:
            return Outcome(reply.status, reply.body)
        if reply.body.startswith(b"{"):
            return Outcome(reply.status, orjson.loads(reply.body))
        return Outcome(reply.status, reply.body.decode())

    async def call(self, method: str, params: dict[str, Any], call: int = DIRECT) -> Outcome:
        return await self.raw(orjson.dumps({"method": method, "params": params}), call)

    def add_other_swarm(self, account: bytes) -> None:
        """Let another swarm keep an account."""
        for number in range(128):
            other = swarm_id(number)
            if choose_swarm(position(account[1:]), [self.nodes.own_swarm, other]) == other:
                self.nodes.listed += [contact(n, other) for n in (11, 12, 13)]
                return


@dataclass
class Owner:
    """An account: its keys, and the parameters of its requests, signed."""

    world: World
    keys: AccountKeys = field(default_factory=lambda: AccountKeys(b"0123456789abcdef"))

    @property
    def hex(self) -> str:
        return self.keys.account_id.hex

    def sign(self, text: str | bytes) -> str:
        return b64(self.keys.sign(text.encode() if isinstance(text, str) else text))

    def signed(self, text: str | bytes, **params: Any) -> dict[str, Any]:
        """Return parameters with the account, its key and its signature of a text."""
        return {
            "pubkey": self.hex,
            "pubkey_ed25519": self.keys.ed25519_public.hex(),
            "signature": self.sign(text),
            **params,
        }

    def store_params(self, data: bytes, **params: Any) -> dict[str, Any]:
        return {"pubkey": self.hex, "timestamp": self.world.now, "ttl": DAY, "data": b64(data), **params}

    async def store(self, data: bytes, **params: Any) -> str:
        """Store, signed where needed, and return the hash."""
        namespace = params.get("namespace", 0)
        if namespace % 10:
            params |= self.signed(f"store{namespace}{self.world.now}")
        status, body = await self.world.call("store", self.store_params(data, **params))
        assert status == 200, body
        return str(body["hash"])

    async def retrieve(self, namespace: int = 0, /, **params: Any) -> Outcome:
        text = f"retrieve{namespace or ''}{self.world.now}"
        signed = self.signed(text, namespace=namespace, timestamp=self.world.now)
        return await self.world.call("retrieve", signed | params)

    async def listed(self, namespace: int = 0) -> list[bytes]:
        """Return the data of all messages in a namespace."""
        status, body = await self.retrieve(namespace)
        assert status == 200, body
        return [base64.b64decode(message["data"]) for message in body["messages"]]


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(name="make_world")
def make_world_fixture() -> type[World]:
    return World


@pytest.fixture
def owner(world: World) -> Owner:
    return Owner(world)


@pytest.fixture(name="make_owner")
def make_owner_fixture() -> type[Owner]:
    return Owner
