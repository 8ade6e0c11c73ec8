"""A network in memory, loaded straight or by onion, that can stand still, lose things and bring them back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import orjson

from naisho.network.transport import NodeTransport
from naisho.protocol.directory import Node
from naisho.protocol.encoding import to_base64
from naisho.testing import FakeNetwork, Fault
from naisho.testing.mailboxes import Outcome
from operators.load.ledger import Entry
from operators.load.mix import Mix
from operators.load.plan import Plan
from operators.load.population import Simulated
from operators.load.running import Load, LoadRun
from operators.load.ways import STORAGE_PATH

LOAD = Load(
    Plan.steady(200, 0.6), mix=Mix.parse("store=6,retrieve=2,delete=2"), accounts=20, onion=False, seconds=10.0, seed=3
)


class PlayedNetwork(FakeNetwork):
    """`FakeNetwork` with the storage RPC beside the onion.

    Attributes:
        moving: requests wait while it is not set.
        forgotten: hashes that a member does not list, by its key.
        raised: messages that a member lists besides, as JSON, by its key.
        mute: members that carry requests out and never say so.
        answers: what a member answers instead, by its key.

    """

    def __init__(self, nodes: int = 9, *, swarms: int = 2) -> None:
        super().__init__(nodes, swarms=swarms)
        self.moving = asyncio.Event()
        self.moving.set()
        self.forgotten: dict[bytes, set[str]] = {}
        self.raised: dict[bytes, list[dict[str, Any]]] = {}
        self.mute: set[bytes] = set()
        self.answers: dict[bytes, Callable[[], Outcome]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self.moving.wait()
        if request.url.path != STORAGE_PATH:
            return await super().handle_async_request(request)
        key = self._by_address[request.url.host, request.url.port or 443]
        if self.offline or self.faults.get(key) is Fault.DOWN:
            raise httpx.ConnectError("refused")
        asked = orjson.loads(await request.aread())
        outcome = self.answers[key]() if key in self.answers else self._call(key, asked["method"], asked["params"])
        if key in self.mute:
            await asyncio.Event().wait()
        body = outcome.body
        if isinstance(body, dict) and "messages" in body:
            left = [m for m in body["messages"] if m["hash"] not in self.forgotten.get(key, ())]
            body = {**body, "messages": [*self.raised.get(key, ()), *left]}
        return httpx.Response(
            outcome.status, stream=httpx.ByteStream(body.encode() if isinstance(body, str) else orjson.dumps(body))
        )

    def forget(self, members: tuple[Node, ...], entry: Entry) -> None:
        """Have members lose a message."""
        for member in members:
            self.forgotten.setdefault(member.key, set()).add(entry.message_hash)

    def lose_for_good(self, owner: Simulated, entry: Entry) -> None:
        """Remove a message from every member's store."""
        kept = self._mailboxes[self._swarm(owner.account)].kept[owner.account.raw, 0]
        kept[:] = [message for message in kept if message.message_hash != entry.message_hash]

    def raise_again(self, members: tuple[Node, ...], entry: Entry, data: bytes) -> None:
        """Have members list a message that was deleted."""
        message = {
            "hash": entry.message_hash,
            "timestamp": entry.acknowledged_ms,
            "expiration": entry.expiry_ms,
            "data": to_base64(data),
        }
        for member in members:
            self.raised.setdefault(member.key, []).append(message)

    def move(self, node: Node, swarm_id: int) -> None:
        """Publish a directory in which a node serves another swarm."""
        nodes = tuple(replace(n, swarm_id=swarm_id) if n.key == node.key else n for n in self.directory.nodes)
        self.publish(nodes=nodes, epoch=self.directory.epoch + 1, previous=self.directory.digest)


@asynccontextmanager
async def loaded(network: PlayedNetwork, load: Load = LOAD, **changes: Any) -> AsyncIterator[LoadRun]:
    """Open a run on a played network; nothing is started yet."""
    async with (
        NodeTransport.open(transport=network) as transport,
        LoadRun.open(network.file, replace(load, **changes), transport=transport) as run,
    ):
        yield run


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that has no event."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - counters have no events
            await asyncio.sleep(0.01)
