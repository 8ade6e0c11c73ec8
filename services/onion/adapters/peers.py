"""Streams to other nodes: opened when first needed, pinned to the directory, closed when idle, bounded in number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from naisho.protocol.directory import Node, Transport
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.certificates import CertificateError, Identity, to_pem
from services.chassis.http2 import dial
from services.chassis.packed import Limits, PackedClient, Reply, StreamBusy, StreamError, StreamState, StreamTimeout
from services.onion.domain import answers
from services.onion.domain.network import Network

_LAYER: Final = 1
#: The method of ``HopService`` (protos/naisho/wire/node/v1).
_EXCHANGE: Final = "/naisho.wire.node.v1.HopService/Exchange"
_BUSY: Final = Reply(503, answers.BUSY)
_TIMED_OUT: Final = Reply(504, answers.TIMED_OUT)
_MALFORMED: Final = Reply(500, answers.MALFORMED_ANSWER)
_STATUSES: Final = range(100, 600)


class Place(NamedTuple):
    """Where a node is and what it must show there."""

    host: str
    port: int
    certificate: bytes


class _Peer:
    """One node's stream, with what it is pinned to."""

    def __init__(self, place: Place, identity: Identity, limits: Limits) -> None:
        self.place = place
        open_stream = partial(dial, (place.host, place.port), identity, place.certificate, _EXCHANGE, Packet)
        self.client = PackedClient(open_stream, limits, on_demand=True, on_state=self._note)
        self.last_used = 0.0
        #: How often the stream was opened.
        self.openings = 0

    def _note(self, state: StreamState) -> None:
        self.openings += state is StreamState.OPEN


class PeerStreams:
    """Forwards layers to other nodes. Never asks twice, never asks another node instead.

    Args:
        network: the directory that says where nodes are and which certificates they have.
        identity: this node's certificate, for the others to check.
        timeout: seconds to wait for an answer (wire 5.3: 30).
        most: streams open at once.
        idle: seconds after which a stream that nobody uses is closed.
        limits: bounds of each stream.
        failing: tells of a node that its last reachability test failed.
    """

    def __init__(
        self,
        network: Network,
        identity: Identity,
        *,
        timeout: float,
        most: int,
        idle: float,
        limits: Limits | None = None,
        failing: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self._network = network
        self._identity = identity
        self._timeout = timeout
        self._most = most
        self._idle = idle
        self._limits = limits or Limits()
        self._failing = failing
        self._peers: dict[bytes, _Peer] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        """How many streams there are."""
        return len(self._peers)

    def forward(self, destination: bytes, layer: bytes) -> Reply | asyncio.Future[Reply]:
        """Send a layer; see ``Peers``."""
        peer = self._peers.get(destination)
        if peer is None:
            node = self._network.find(destination)
            if node is None:
                return Reply(502, answers.node_not_found(destination))
            if len(self._peers) >= self._most and not self._make_room():
                return _BUSY
            peer = self._open(node)
            if peer is None:
                return Reply(502, answers.node_unreachable(destination))
        if peer.client.state is not StreamState.OPEN and self._failing(destination):
            return Reply(502, answers.node_unreachable(destination))
        peer.last_used = self._loop.time()
        is_open = peer.client.state is StreamState.OPEN
        reached = peer.openings - is_open  # more openings than these say that the node was reached
        try:
            return peer.client.submit(_LAYER, layer, self._timeout, partial(_outcome, destination, peer, reached))
        except StreamBusy:
            return _BUSY
        except StreamError:
            return Reply(502, answers.node_unreachable(destination))

    def follow_directory(self) -> None:
        """Close streams to nodes that have left, moved, or changed their certificate."""
        for key, peer in list(self._peers.items()):
            node = self._network.find(key)
            if node is None or _place(node) != peer.place:
                self._close(key)

    async def close_idle(self) -> None:
        """Close idle streams, for ever."""
        while True:
            await asyncio.sleep(self._idle / 2)
            before = self._loop.time() - self._idle
            for key, peer in list(self._peers.items()):
                if peer.last_used < before and not peer.client.in_flight:
                    self._close(key)

    async def close(self) -> None:
        """Close all streams."""
        for key in list(self._peers):
            self._close(key)
        await asyncio.gather(*self._closing)

    def _open(self, node: Node) -> _Peer | None:
        place = _place(node)
        if place is None:
            return None
        try:
            to_pem(place.certificate)
        except CertificateError:
            return None
        peer = self._peers[node.key] = _Peer(place, self._identity, self._limits)
        peer.client.start()
        return peer

    def _make_room(self) -> bool:
        idle = [(peer.last_used, key) for key, peer in self._peers.items() if not peer.client.in_flight]
        if not idle:
            return False
        self._close(min(idle)[1])
        return True

    def _close(self, key: bytes) -> None:
        task = asyncio.create_task(self._peers.pop(key).client.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _place(node: Node) -> Place | None:
    endpoint = node.endpoint(Transport.HOP)
    if endpoint is None:
        return None
    return Place(endpoint.host, endpoint.port, node.certificate)


def _outcome(destination: bytes, peer: _Peer, reached: int, answer: Reply | StreamError) -> Reply:
    """Return what the client gets."""
    if isinstance(answer, Reply):
        return answer if answer.status in _STATUSES else _MALFORMED
    if isinstance(answer, StreamTimeout):
        return _TIMED_OUT
    # A node that was reached may have acted on the layer; only one that was not is called unreachable.
    return _MALFORMED if peer.openings > reached else Reply(502, answers.node_unreachable(destination))
