"""Tests whether other nodes answer at their public address; the mailboxes' side tells the authority."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx

from naisho.protocol.directory import Node, Transport
from naisho.protocol.encoding import to_base64
from services.chassis.clock import Clock
from services.onion.domain.network import Network
from services.onion.domain.reachability import TestPlan

Report = Callable[[Sequence[tuple[bytes, bool]]], Awaitable[None]]

_MOST_AT_ONCE: Final = 8


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

    async def run(self) -> None:
        """Test and report."""
        # Nobody issues nodes' certificates; the header tells who answers, as the wire protocol has it.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        limits = httpx.Limits(max_connections=_MOST_AT_ONCE, max_keepalive_connections=0)
        async with httpx.AsyncClient(verify=context, limits=limits, timeout=self._timeout, trust_env=False) as client:
            client.headers.clear()
            while True:
                await self._clock.sleep(max(0.05, self._plan.next_time() - self._clock.monotonic()))
                await self._test_those_due(client)

    async def _test_those_due(self, client: httpx.AsyncClient) -> None:
        directory = self._network.directory
        if directory is None:
            await self._clock.sleep(1)
            return
        nodes = {node.key: node for node in directory.nodes if node.key != self._network.own_key}
        due = self._plan.due(nodes.keys(), self._clock.monotonic())
        results = await asyncio.gather(*(self._answers(client, nodes[key]) for key in due))
        for key, passed in zip(due, results, strict=True):
            self._plan.record(key, self._clock.monotonic(), passed=passed)
        if due:
            await self._report(list(zip(due, results, strict=True)))

    async def _answers(self, client: httpx.AsyncClient, node: Node) -> bool:
        endpoint = node.endpoint(Transport.HTTPS)
        if endpoint is None:
            return False
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        try:
            async with asyncio.timeout(self._timeout):
                # Only the head is of interest; the body is not read.
                async with client.stream("POST", f"https://{host}:{endpoint.port}/ping_test/v1") as answer:
                    named = answer.headers.get("x-oxen-snode-pubkey")
                    return answer.status_code == httpx.codes.OK and named == to_base64(node.key)
        except (TimeoutError, OSError, httpx.HTTPError, httpx.InvalidURL):
            return False
