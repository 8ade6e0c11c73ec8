"""Tests whether other nodes answer at their public address; the mailboxes' side tells the authority."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

import h11

from naisho.protocol.directory import Node, Transport
from naisho.protocol.encoding import to_base64
from services.chassis.clock import Clock
from services.onion.adapters.http_client import Place, post
from services.onion.domain.network import Network
from services.onion.domain.reachability import TestPlan

Report = Callable[[Sequence[tuple[bytes, bool]]], Awaitable[None]]

#: Seconds between two looks at the plan at least, and between looks for a first directory.
_SHORTEST: Final = 0.05
_WAIT: Final = 1.0


class PeerTester:
    """Tests nodes by plan, for ever.

    Args:
        network: whom to test.
        plan: when.
        report: whom to tell.
        timeout: seconds that a node has to answer.
        clock: waits.
    """

    def __init__(self, network: Network, plan: TestPlan, report: Report, *, timeout: float, clock: Clock) -> None:
        self._network = network
        self._plan = plan
        self._report = report
        self._timeout = timeout
        self._clock = clock
        # Nobody issues nodes' certificates; the header tells who answers, as the wire protocol has it.
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def run(self) -> None:
        """Test and report."""
        while True:
            await self._clock.sleep(max(_SHORTEST, self._plan.next_time() - self._clock.monotonic()))
            directory = self._network.directory
            if directory is None:
                await self._clock.sleep(_WAIT)
                continue
            nodes = {node.key: node for node in directory.nodes if node.key != self._network.own_key}
            due = self._plan.due(nodes.keys(), self._clock.monotonic())
            results = await asyncio.gather(*(self._answers(nodes[key]) for key in due))
            for key, passed in zip(due, results, strict=True):
                self._plan.record(key, self._clock.monotonic(), passed=passed)
            if due:
                await self._report(list(zip(due, results, strict=True)))

    async def _answers(self, node: Node) -> bool:
        endpoint = node.endpoint(Transport.HTTPS)
        if endpoint is None:
            return False
        place = Place(endpoint.host, endpoint.port, self._tls, endpoint.host)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await post(place, "/ping_test/v1", [("Host", endpoint.host)])
        except (OSError, h11.RemoteProtocolError):  # of which TimeoutError is one
            return False
        named = answer.headers.get(b"x-oxen-snode-pubkey", b"")
        return answer.status == HTTPStatus.OK and named == to_base64(node.key).encode()
