"""This node's mailboxes, over a unix socket to the `swarm` process beside this one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import grpc.aio

from naisho.wire.node.v1 import node_pb2 as wire
from naisho.wire.node.v1.node_pb2_grpc import MailboxServiceStub
from services.chassis.grpc_endpoint import unix_channel
from services.chassis.packed import (
    FrameTooLarge,
    Limits,
    PackedClient,
    Reply,
    StreamBusy,
    StreamError,
    StreamState,
    StreamTimeout,
)
from services.onion.domain import answers

_BUSY: Final = Reply(503, answers.BUSY)
_TOO_LARGE: Final = Reply(413, b"Request body too large")
_TIMED_OUT: Final = Reply(504, answers.TIMED_OUT)
_AWAY: Final = Reply(503, answers.node_not_ready("its mailboxes are away"))
#: Seconds before the directory is asked for again after the other side went away.
_PAUSE: Final = 0.5
#: The other side bounds its own waits well below this.
_PATIENCE: Final = 45.0


class UnixMailbox:
    """Calls the mailboxes over one packed stream; follows the directory and reports peers over plain calls.

    Args:
        socket: where `swarm` listens.
        limits: bounds of the stream.
    """

    def __init__(self, socket: Path, limits: Limits | None = None) -> None:
        self._channel = unix_channel(socket)
        self._stub = MailboxServiceStub(self._channel)
        self._client = PackedClient(self._stub.Exchange, limits)

    @property
    def available(self) -> bool:
        """Whether the stream stands."""
        return self._client.state is StreamState.OPEN

    async def start(self) -> None:
        """Begin to connect."""
        self._client.start()

    async def handle(self, call: int, body: bytes) -> Reply:
        """Answer a storage RPC request; what the stream cannot do becomes an answer, too."""
        try:
            return await self._client.call(call, body, _PATIENCE)
        except StreamBusy:
            return _BUSY
        except FrameTooLarge:
            return _TOO_LARGE
        except StreamTimeout:
            return _TIMED_OUT
        except StreamError:
            return _AWAY

    async def watch_directory(self) -> AsyncIterator[bytes]:
        """Yield signed directories, for ever."""
        while True:
            try:
                async for answer in self._stub.WatchDirectory(wire.WatchDirectoryRequest(), wait_for_ready=True):
                    yield answer.signed_directory
            except grpc.aio.AioRpcError:
                pass  # the other side is away or restarts: ask again
            await asyncio.sleep(_PAUSE)

    async def report_peers(self, reports: Sequence[tuple[bytes, bool]]) -> None:
        """Hand reports over; when the other side is away they are lost, and newer ones follow."""
        request = wire.ReportPeersRequest(
            reports=[wire.PeerReport(node=node, reachable=reachable) for node, reachable in reports]
        )
        try:
            await self._stub.ReportPeers(request, timeout=_PAUSE * 10)
        except grpc.aio.AioRpcError:
            return

    async def close(self) -> None:
        """End the stream."""
        await self._client.close()
        await self._channel.close()
