"""What a node believes about its network, and how it tests its peers."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import replace
from typing import Any

from naisho.protocol.directory import Endpoint, Transport
from naisho.protocol.onion.packet import to_node
from naisho.protocol.signing import SigningKey
from services.chassis.settings import Duration
from services.onion.adapters.directory import UNUSABLE
from services.onion.settings import ReachabilitySettings

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def offer(node: Any, signed: bytes) -> None:
    node.mailbox.directories.put_nowait(signed)
    await node.mailbox.directories.join()


async def test_a_node_is_ready_once_it_believes_a_directory(lab: Any) -> None:
    (node,) = await lab.add(1)
    assert node.service.lifecycle.withdrawn == {UNUSABLE}
    await lab.publish()
    assert node.service.lifecycle.ready


async def test_directories_that_may_not_be_believed_change_nothing(lab: Any, caplog: Any) -> None:
    (node,) = await lab.add(1)
    first = await lab.publish(lab.directory())
    newer = await lab.publish(lab.directory())
    now = newer.issued_ms
    forged = lab.directory()
    lab.signer = SigningKey(b"\x66" * 32)
    refused = {
        "MalformedDirectory": b"\xff\xff",
        "DirectoryOutdated": first.signed,
        "BadDirectorySignature": lab.directory().signed,
    }
    lab.signer = SigningKey(b"\x02" * 32)
    refused["DirectoryExpired"] = lab.directory(issued_ms=now - 7 * DAY_MS, expires_ms=now - 1).signed
    refused["DirectoryFromFuture"] = lab.directory(issued_ms=now + 2 * DAY_MS, expires_ms=now + 3 * DAY_MS).signed
    for name, signed in refused.items():
        caplog.clear()
        await offer(node, signed)
        assert node.service.network.directory.digest == newer.digest
        assert name in caplog.text
    assert node.service.lifecycle.ready
    await offer(node, forged.signed)
    assert node.service.network.directory.digest == forged.digest


async def test_a_stale_directory_warns_and_serves(lab: Any, caplog: Any) -> None:
    (node,) = await lab.add(1)
    now = lab.directory().issued_ms
    with caplog.at_level(logging.WARNING):
        await lab.publish(lab.directory(issued_ms=now - 2 * DAY_MS, expires_ms=now + 4 * DAY_MS))
    assert "has not been signed anew" in caplog.text
    assert node.service.lifecycle.ready


async def test_an_expired_directory_stops_everything(lab: Any, connect: Any) -> None:
    (node,) = await lab.add(1)
    now = lab.directory().issued_ms
    await lab.publish(lab.directory(expires_ms=now + 1500))
    client = await connect(node.service.https_port)
    assert (await client.ask("POST", "/storage_rpc/v1", b"{}")).status == 200
    assert (await client.ask("POST", "/onion_req/v2", b"")).status == 400
    await asyncio.sleep(1.6)
    answer = await client.ask("POST", "/onion_req/v2", b"")
    assert (answer.status, answer.body) == (503, b"Snode not ready: " + node.key.hex().encode())
    answer = await client.ask("POST", "/storage_rpc/v1", b"{}")
    assert answer.status == 503
    await lab.publish()
    assert (await client.ask("POST", "/storage_rpc/v1", b"{}")).status == 200


async def test_a_certificate_that_cannot_be_pinned_is_left_out(lab: Any, caplog: Any) -> None:
    nodes = await lab.add(2)
    other = nodes[1].listed()
    impostor = lab.build(nodes[1].seed)
    impostor.identity = nodes[0].identity  # another node's
    impostor.service.https_port, impostor.service.hop_port = 1, 2
    await lab.publish(lab.directory([nodes[0].listed(), replace(impostor.listed(), endpoints=other.endpoints)]))
    assert "cannot be pinned" in caplog.text
    assert nodes[0].service.lifecycle.ready


# Reachability.

OFTEN = ReachabilitySettings(interval=Duration(0.05), timeout=Duration(1), retest=Duration(0.05))


async def reports(node: Any, count: int) -> list[tuple[bytes, bool]]:
    async with asyncio.timeout(20):
        return [await node.mailbox.reports.get() for _ in range(count)]


async def test_nodes_test_each_other(lab: Any) -> None:
    nodes = await lab.add(3, reachability=OFTEN)
    await lab.publish()
    for node in nodes:
        found = await reports(node, 12)
        assert {key for key, _ in found} == {other.key for other in nodes} - {node.key}
        assert all(reachable for _, reachable in found)


async def test_a_node_that_is_down_and_comes_back(lab: Any) -> None:
    nodes = await lab.add(2, reachability=OFTEN)
    listed = nodes[1].listed()
    down = replace(listed, endpoints=(Endpoint(Transport.HTTPS, "127.0.0.1", 1), *listed.endpoints[1:]))
    await lab.publish(lab.directory([nodes[0].listed(), down]))
    assert set(await reports(nodes[0], 4)) == {(nodes[1].key, False)}
    await lab.publish()
    async with asyncio.timeout(20):
        while await nodes[0].mailbox.reports.get() != (nodes[1].key, True):
            pass


async def test_somebody_else_behind_the_address_does_not_count(lab: Any) -> None:
    nodes = await lab.add(3, reachability=OFTEN)
    listed = [node.listed() for node in nodes]
    # The third answers under its own name where the second is said to be; nobody is where the third is said to be.
    liar = Endpoint(Transport.HTTPS, "127.0.0.1", nodes[2].service.https_port)
    gone = Endpoint(Transport.HTTPS, "127.0.0.1", 1)
    listed[1] = replace(listed[1], endpoints=(liar, *listed[1].endpoints[1:]))
    listed[2] = replace(listed[2], endpoints=(gone, *listed[2].endpoints[1:]))
    await lab.publish(lab.directory(listed))
    found = await reports(nodes[0], 8)
    assert not any(reachable for _, reachable in found)


async def test_an_address_that_never_answers_fails_in_time(lab: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel connects, nobody accepts
        nodes = await lab.add(2, reachability=replace(OFTEN, timeout=Duration(0.3)))
        listed = nodes[1].listed()
        mute = Endpoint(Transport.HTTPS, "127.0.0.1", silent.getsockname()[1])
        await lab.publish(lab.directory([nodes[0].listed(), replace(listed, endpoints=(mute, *listed.endpoints[1:]))]))
        assert set(await reports(nodes[0], 2)) == {(nodes[1].key, False)}


async def test_no_layers_are_sent_to_a_failing_node_without_a_stream(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2, reachability=replace(OFTEN, retest=Duration(60)))
    listed = nodes[1].listed()
    down = replace(listed, endpoints=(Endpoint(Transport.HTTPS, "127.0.0.1", 1), *listed.endpoints[1:]))
    await lab.publish(lab.directory([nodes[0].listed(), down]))
    await reports(nodes[0], 1)
    client = await connect(nodes[0].service.https_port)
    packet = to_node([node.hop_key for node in nodes], "info", {})
    answer = await client.ask("POST", "/onion_req/v2", packet.data)
    assert (answer.status, answer.body) == (502, b"Next node is currently unreachable: " + nodes[1].key.hex().encode())
    assert not nodes[1].mailbox.calls
