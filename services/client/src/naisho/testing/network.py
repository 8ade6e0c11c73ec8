"""Nodes in memory, below the SDK's HTTP client."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

import httpx
import orjson

from naisho.network.clock import system_ms
from naisho.network.transport import ONION_PATH
from naisho.protocol import ring
from naisho.protocol.account import AccountId, ed25519_to_x25519
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
from naisho.protocol.directory.model import DIRECTORY_PATH
from naisho.protocol.directory.signatures import certificate_body, sign
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.onion.encryption import ChannelKey, Encryption, LayerKey
from naisho.protocol.onion.framing import decode_outer
from naisho.protocol.onion.reply import encode_reply, seal_reply
from naisho.protocol.onion.routing import ToNode, ToServer, decode_route
from naisho.protocol.signing import SigningKey
from naisho.testing.mailboxes import FakeMailboxes, Outcome

DAY_MS = 24 * 3_600_000


class Fault(Enum):
    """How a fake node misbehaves."""

    #: No connection, and no answer to other nodes.
    DOWN = auto()
    #: Takes requests and never answers.
    SILENT = auto()
    #: Answers 503 to storage requests.
    BUSY = auto()
    #: Signs nothing right.
    LIAR = auto()
    #: Answers 421 to every storage request.
    LOST = auto()


@dataclass(frozen=True)
class Carried:
    """One request as the network saw it: the nodes that carried it, the one that answered, and what it was."""

    hops: tuple[bytes, ...]
    destination: bytes
    method: str
    params: Mapping[str, Any] = field(repr=False)


class FakeNetwork(httpx.AsyncBaseTransport):
    """A whole network; give it to `Client.open` as ``transport``, and its `file` as ``network``.

    Args:
        nodes: how many.
        swarms: in how many swarms.
        families: of how many operators; node i is of family i modulo this, on machine and in a /24 of its own.
        grade: what the directory says.
        now_ms: the nodes' clock.

    Attributes:
        file: the network file.
        directory: the signed directory that seeds and nodes give out.
        faults: misbehaviour by node key.
        carried: every request that reached its destination.
        clock_ms: added to the nodes' clock.
        offline: nobody can be reached, seeds neither.
        directory_requests: how many times the directory was asked for.

    """

    def __init__(
        self, nodes: int = 15, *, swarms: int = 2, families: int = 3, grade: Grade = Grade.SINGLE_OPERATOR
    ) -> None:
        self._root, self._authority = SigningKey(secrets.token_bytes(32)), SigningKey(secrets.token_bytes(32))
        network_id = f"t-{secrets.token_hex(3)}"
        self.file = NetworkFile(
            network_id, (self._root.public,), seeds=("http://192.0.2.1:80",), lowest_grade=grade, simulated=True
        )
        self.clock_ms = 0
        self.offline = False
        self.faults: dict[bytes, Fault] = {}
        self.carried: list[Carried] = []
        self.directory_requests = 0
        seeds = [secrets.token_bytes(32) for _ in range(nodes)]
        self._secrets = {secret.public: secret for secret in map(SigningKey, seeds)}
        self._layers = {
            public: LayerKey.from_ed25519_seed(seed) for public, seed in zip(self._secrets, seeds, strict=True)
        }
        listed = [
            self._node(index, key, ring.swarm_id(index % swarms * (128 // swarms)), families, network_id)
            for index, key in enumerate(sorted(self._secrets))
        ]
        self._by_address = {(n.endpoints[0].host, n.endpoints[0].port): n.key for n in listed}
        self.directory = Directory(
            network_id, grade, 1, self._now(), self._now() + DAY_MS, b"", tuple(listed), simulated=True
        )
        self.publish()
        self._mailboxes = {
            swarm: FakeMailboxes(self._now, lambda swarm=swarm: self._signers(swarm))  # type: ignore[misc]  # binds now
            for swarm in self.directory.swarm_ids
        }

    def publish(self, **changes: Any) -> None:
        """Sign the directory anew, with changes to its fields."""
        keys = SigningKeys(self.file.network_id, (self._authority.public,), 1, self._now() + 90 * DAY_MS, 1, 1_000_000)
        changed = replace(self.directory, **changes)
        self.directory = sign_directory(changed, delegate(keys, [self._root]), [self._authority])

    def mailbox(self, account: AccountId, namespace: int = 0) -> list[bytes]:
        """Return what an account's mailbox holds, oldest first."""
        kept = self._mailboxes[self._swarm(account)].kept.get((account.raw, namespace), [])
        return [message.data for message in kept]

    def members(self, account: AccountId) -> tuple[Node, ...]:
        """Return the nodes that keep an account's mailbox."""
        return self.directory.members(self._swarm(account))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one HTTP request (httpx's interface)."""
        url = request.url
        if self.offline:
            raise httpx.ConnectError("offline")
        if url.scheme == "http" or url.path == DIRECTORY_PATH:
            self.directory_requests += 1
            key = self._by_address.get((url.host, url.port or 0))
            if key is not None and self.faults.get(key) is Fault.DOWN:
                raise httpx.ConnectError("refused")
            return httpx.Response(200, stream=httpx.ByteStream(self.directory.signed))
        key = self._by_address[url.host, url.port or 443]
        if url.path != ONION_PATH:
            return httpx.Response(404, text=f"{request.method} {url.path} Not Found")
        if self.faults.get(key) is Fault.DOWN:
            raise httpx.ConnectError("refused")
        packet = decode_outer(await request.aread())
        status, body = await self._peel(key, packet.encryption, packet.ephemeral_key, packet.blob, ())
        return httpx.Response(status, stream=httpx.ByteStream(body))

    async def _peel(
        self, key: bytes, encryption: Encryption, ephemeral: bytes, blob: bytes, behind: tuple[bytes, ...]
    ) -> tuple[int, bytes]:
        fault = self.faults.get(key)
        if fault is Fault.DOWN:
            return 502, f"Next node is currently unreachable: {key.hex()}".encode()
        if fault is Fault.SILENT:
            await asyncio.Event().wait()
        plaintext, channel = self._layers[key].open(encryption, ephemeral, blob)
        route = decode_route(plaintext)
        if isinstance(route, ToServer):
            return 400, b"Invalid url"
        if isinstance(route, ToNode):
            if route.destination not in self._secrets:
                return 502, f"Next node not found: {route.destination.hex()}".encode()
            return await self._peel(
                route.destination, route.encryption, route.ephemeral_key, route.blob, (*behind, key)
            )
        return self._finish(key, route.blob, channel, behind)

    def _finish(self, key: bytes, blob: bytes, channel: ChannelKey, behind: tuple[bytes, ...]) -> tuple[int, bytes]:
        request = orjson.loads(blob)
        self.carried.append(Carried(behind, key, request["method"], request["params"]))
        outcome = self._call(key, request["method"], request["params"])
        body = outcome.body.encode() if isinstance(outcome.body, str) else orjson.dumps(outcome.body)
        return 200, seal_reply(channel, encode_reply(outcome.status, body), base64=True)

    def _call(self, key: bytes, method: str, params: Mapping[str, Any]) -> Outcome:
        fault = self.faults.get(key)
        if method == "info":
            return Outcome(200, {"version": [2, 11, 0], "timestamp": self._now(), "t": self._now(), "hf": [19, 6]})
        if method == "batch":
            parts = [self._call(key, part["method"], part["params"]) for part in params["requests"]]
            return Outcome(200, {"results": [{"code": part.status, "body": part.body} for part in parts]})
        swarm = self._swarm(AccountId.parse(params["pubkey"]))
        if fault is Fault.BUSY:
            return Outcome(503, "Server busy, try again later")
        if fault is Fault.LOST or self.directory.by_key[key].swarm_id != swarm:
            return Outcome(421, {"snodes": [{"pubkey_ed25519": n.key.hex()} for n in self.directory.members(swarm)]})
        return self._mailboxes[swarm].call(method, params)

    def _signers(self, swarm: int) -> list[SigningKey]:
        signers = []
        for node in self.directory.members(swarm):
            fault = self.faults.get(node.key)
            if fault not in {Fault.DOWN, Fault.SILENT}:
                signers.append(self._secrets[node.key] if fault is not Fault.LIAR else _Liar(node.key))
        return signers

    def _swarm(self, account: AccountId) -> int:
        swarm = ring.choose_swarm(ring.position(account.key), self.directory.swarm_ids)
        assert swarm is not None
        return swarm

    def _node(self, index: int, key: bytes, swarm_id: int, families: int, network_id: str) -> Node:
        certificate = b"certificate of " + key
        return Node(
            key=key,
            x25519=ed25519_to_x25519(key),
            endpoints=(Endpoint(Transport.HTTPS, f"10.{index // 250}.{index % 250}.1", 22021),),
            family=f"family-{index % families}",
            country=("JP", "DE", "IS")[index % 3],
            version=(2, 11, 0),
            state=NodeState.ACTIVE,
            swarm_id=swarm_id,
            certificate=certificate,
            certificate_signature=sign(
                self._secrets[key], Purpose.CERTIFICATE, network_id, certificate_body(certificate)
            ),
            machine=f"machine-{index}",
        )

    def _now(self) -> int:
        return system_ms() + self.clock_ms


class _Liar(SigningKey):
    """Signs with another key than its own."""

    __slots__ = ()

    def __init__(self, public: bytes) -> None:
        super().__init__(secrets.token_bytes(32))
        self.public = public  # type: ignore[misc]  # it lies about it
