"""Between nodes: who is let in, and what a client is told when the next node cannot help (wire 5.3, 5.7)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc.aio
import pytest

from naisho.protocol.directory import Endpoint, NodeState, Transport
from naisho.protocol.onion import framing
from naisho.protocol.onion.encryption import Encryption, agree_as_client
from naisho.protocol.onion.packet import HopKey, to_node
from naisho.protocol.signing import SigningKey
from naisho.wire.node.v1.node_pb2 import OnionLayer
from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Frame, Packet
from services.chassis.certificates import Identity, TrustedPeers
from services.chassis.packed import Limits, PackedClient, Reply, StreamBroken
from services.chassis.settings import Duration
from services.onion.settings import PeerSettings
from tests.grpc_library import pinned_channel, pinned_server

STRANGER = SigningKey(b"\x99" * 32).public


async def ask(connect: Any, entry: Any, path: list[HopKey], **options: Any) -> tuple[int, bytes]:
    """Send a request along a path; return the first hop's status and body."""
    client = await connect(entry.service.https_port)
    answer = await client.ask("POST", "/onion_req/v2", to_node(path, "info", {}, **options).data)
    return answer.status, answer.body


async def test_an_unknown_node_is_named_wherever_the_path_breaks(lab: Any, connect: Any) -> None:
    nodes = await lab.add(3)
    await lab.publish()
    keys = [node.hop_key for node in nodes]
    stranger = HopKey.from_ed25519(STRANGER)
    expected = 502, b"Next node not found: " + STRANGER.hex().encode()
    assert await ask(connect, nodes[0], [keys[0], stranger]) == expected
    assert await ask(connect, nodes[0], [keys[0], keys[1], stranger]) == expected
    assert await ask(connect, nodes[0], [*keys, stranger]) == expected


async def test_errors_of_later_hops_come_back_as_they_are(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2)
    await lab.publish()
    ephemeral, key = agree_as_client(Encryption.AES_GCM, nodes[0].hop_key.x25519)
    broken = {"destination": nodes[1].key.hex(), "ephemeral_key": "11" * 32}
    data = framing.encode(key.seal(framing.encode(b"x" * 40, broken)), {"ephemeral_key": ephemeral.hex()})
    client = await connect(nodes[0].service.https_port)
    answer = await client.ask("POST", "/onion_req/v2", data)
    assert (answer.status, answer.body) == (400, b"Invalid ciphertext")


async def test_a_replayed_packet_dies_at_the_first_node_that_saw_it(lab: Any, connect: Any) -> None:
    nodes = await lab.add(3)
    await lab.publish()
    packet = to_node([node.hop_key for node in nodes], "info", {})
    client = await connect(nodes[0].service.https_port)
    assert (await client.ask("POST", "/onion_req/v2", packet.data)).status == 200
    answer = await client.ask("POST", "/onion_req/v2", packet.data)
    assert (answer.status, answer.body) == (400, b"Invalid ciphertext")
    assert len(nodes[2].mailbox.calls) == 1
    assert [node.service.replays.caught for node in nodes] == [1, 0, 0]


async def test_a_path_may_visit_a_node_twice_but_no_layer_twice(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2)
    await lab.publish()
    first, second = (node.hop_key for node in nodes)
    status, _ = await ask(connect, nodes[0], [first, second] * 4)
    assert status == 200
    status, body = await ask(connect, nodes[0], [first, second] * 9)
    assert (status, body) == (400, b"onion request max path length exceeded")


def with_hop(node: Any, port: int, **changes: Any) -> Any:
    listed = node.listed()
    https = listed.endpoint(Transport.HTTPS)
    return replace(listed, endpoints=(https, Endpoint(Transport.HOP, "127.0.0.1", port)), **changes)


async def test_a_node_that_is_down_is_unreachable(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2)
    with socket.create_server(("127.0.0.1", 0)) as dead:
        port = dead.getsockname()[1]
    await lab.publish(lab.directory([nodes[0].listed(), with_hop(nodes[1], port)]))
    path = [node.hop_key for node in nodes]
    expected = 502, b"Next node is currently unreachable: " + nodes[1].key.hex().encode()
    assert await ask(connect, nodes[0], path) == expected
    assert await ask(connect, nodes[0], path) == expected


async def test_a_node_without_an_address_for_nodes_is_unreachable(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2)
    listed = nodes[1].listed()
    mute = replace(listed, endpoints=(listed.endpoint(Transport.HTTPS),))
    await lab.publish(lab.directory([nodes[0].listed(), mute]))
    status, body = await ask(connect, nodes[0], [node.hop_key for node in nodes])
    assert (status, body) == (502, b"Next node is currently unreachable: " + nodes[1].key.hex().encode())


class OddNode(HopServiceServicer):
    """A node of the directory that answers as a test says."""

    def __init__(self, twin: Any) -> None:
        #: The lab node, not running, in whose place it stands.
        self.twin = twin
        self.frames = 0
        self.answer: Any = lambda frame: [Packet(frames=[Frame(id=frame.id, code=200, body=b"odd")])]

    async def Exchange(self, request_iterator: AsyncIterator[Packet], context: Any) -> AsyncIterator[Packet]:  # noqa: N802 - gRPC's name
        del context
        yield Packet()
        async for packet in request_iterator:
            for frame in packet.frames:
                self.frames += 1
                for answer in self.answer(frame):
                    yield answer


@pytest.fixture
async def odd(lab: Any) -> AsyncIterator[Any]:
    """Return a lab node, not running, behind whose hop address an `OddNode` listens."""
    await lab.add(1)
    twin = lab.build(b"\x77" * 32)
    node = OddNode(twin)
    server, port = pinned_server("127.0.0.1:0", twin.identity, TrustedPeers([lab.nodes[0].identity.certificate]))
    add_HopServiceServicer_to_server(node, server)
    await server.start()
    twin.service.https_port = 1
    await lab.publish(lab.directory([lab.nodes[0].listed(), with_hop(twin, port)]))
    yield node
    await server.stop(None)


@pytest.mark.parametrize("status", [0, 7, 99, 600, 70_000])
async def test_a_malformed_answer(lab: Any, connect: Any, odd: Any, status: int) -> None:
    odd.answer = lambda frame: [Packet(frames=[Frame(id=frame.id, code=status, body=b"odd")])]
    path = [lab.nodes[0].hop_key, odd.twin.hop_key]
    assert await ask(connect, lab.nodes[0], path) == (500, b"Invalid response from snode")


async def test_answers_to_nobody_and_twice_change_nothing(lab: Any, connect: Any, odd: Any) -> None:
    def answers(frame: Frame) -> list[Packet]:
        good = Frame(id=frame.id, code=200, body=b"good")
        return [Packet(frames=[Frame(id=frame.id + 1000, code=200, body=b"bad"), good, good, Frame(id=frame.id)])]

    odd.answer = answers
    path = [lab.nodes[0].hop_key, odd.twin.hop_key]
    for _ in range(3):
        assert await ask(connect, lab.nodes[0], path) == (200, b"good")


async def test_a_stream_that_breaks_is_not_tried_again_by_itself(lab: Any, connect: Any, odd: Any) -> None:
    def break_off(_frame: Frame) -> list[Packet]:
        raise RuntimeError

    odd.answer = break_off
    path = [lab.nodes[0].hop_key, odd.twin.hop_key]
    assert await ask(connect, lab.nodes[0], path) == (500, b"Invalid response from snode")
    assert odd.frames == 1
    # Until it is connected again, nobody waits.
    status, body = await ask(connect, lab.nodes[0], path)
    assert (status, body) in {
        (500, b"Invalid response from snode"),
        (502, b"Next node is currently unreachable: " + odd.twin.key.hex().encode()),
    }


async def test_no_answer_in_time(connect: Any, lab: Any) -> None:
    nodes = await lab.add(2, peers=PeerSettings(timeout=Duration(0.2)))
    await lab.publish()

    async def never(_call: int, _body: bytes) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    nodes[1].mailbox.answer = never
    status, body = await ask(connect, nodes[0], [node.hop_key for node in nodes])
    assert (status, body) == (504, b"Request time out")


async def test_one_stream_carries_all_and_is_closed_when_idle(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2, peers=PeerSettings(idle=Duration(0.2)))
    await lab.publish()
    path = [node.hop_key for node in nodes]
    results = await asyncio.gather(*(ask(connect, nodes[0], path) for _ in range(20)))
    assert {status for status, _ in results} == {200}
    assert len(nodes[0].service.peers) == 1
    async with asyncio.timeout(10):
        while len(nodes[0].service.peers):  # noqa: ASYNC110 - nothing tells when an idle stream is closed
            await asyncio.sleep(0.02)
    assert (await ask(connect, nodes[0], path))[0] == 200


async def test_streams_are_bounded_in_number(lab: Any, connect: Any) -> None:
    nodes = await lab.add(4, peers=PeerSettings(streams=2))
    await lab.publish()
    keys = [node.hop_key for node in nodes]
    for other in (1, 2, 3, 1):
        assert (await ask(connect, nodes[0], [keys[0], keys[other]]))[0] == 200
        assert len(nodes[0].service.peers) <= 2

    gate = asyncio.Event()

    async def wait(_call: int, _body: bytes) -> Reply:
        await gate.wait()
        return Reply(200, b"{}")

    nodes[1].mailbox.answer = nodes[2].mailbox.answer = wait
    under_way = [asyncio.create_task(ask(connect, nodes[0], [keys[0], keys[i]])) for i in (1, 2)]
    async with asyncio.timeout(10):
        while sum(len(node.mailbox.calls) for node in nodes[1:3]) < 5:  # noqa: ASYNC110 - the mailbox has no event
            await asyncio.sleep(0.01)
    assert await ask(connect, nodes[0], [keys[0], keys[3]]) == (503, b"Server busy, try again later")
    gate.set()
    assert [status for status, _ in await asyncio.gather(*under_way)] == [200, 200]


# Who may come in.


async def call_hop(identity: Identity, node: Any) -> Reply:
    """Call a node's hop address with a certificate."""
    channel = pinned_channel(f"127.0.0.1:{node.service.hop_port}", identity, node.identity.certificate)
    try:
        async with PackedClient(HopServiceStub(channel).Exchange, Limits(), on_demand=True) as client:
            layer = OnionLayer(ephemeral_key=b"1" * 32, encryption="aes-gcm", ciphertext=b"x" * 40)
            return await client.call(1, layer.SerializeToString(), 5)
    finally:
        await channel.close()


async def test_only_certificates_of_the_directory_are_let_in(lab: Any) -> None:
    nodes = await lab.add(2)
    await lab.publish()
    assert await call_hop(nodes[1].identity, nodes[0]) == Reply(400, b"Invalid ciphertext")
    namesake = Identity.make(nodes[1].key.hex())
    for stranger in (Identity.make(STRANGER.hex()), namesake):
        with pytest.raises(StreamBroken):
            await call_hop(stranger, nodes[0])


async def test_nobody_is_let_in_without_a_certificate(lab: Any) -> None:
    (node,) = await lab.add(1)
    await lab.publish()
    credentials = grpc.ssl_channel_credentials(node.identity.certificate_pem)
    name = ("grpc.ssl_target_name_override", node.key.hex())
    async with grpc.aio.secure_channel(f"127.0.0.1:{node.service.hop_port}", credentials, options=[name]) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await HopServiceStub(channel).Exchange().read()


async def test_a_node_with_another_certificate_is_not_believed(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2)
    impostor = lab.build(nodes[1].seed)
    impostor.service.https_port, impostor.service.hop_port = nodes[1].service.https_port, nodes[1].service.hop_port
    await lab.publish(lab.directory([nodes[0].listed(), impostor.listed()]))
    status, body = await ask(connect, nodes[0], [node.hop_key for node in nodes])
    assert (status, body) == (502, b"Next node is currently unreachable: " + nodes[1].key.hex().encode())
    assert not nodes[1].mailbox.calls


async def test_a_node_that_left_the_directory_is_shut_out_at_once(lab: Any, connect: Any) -> None:
    nodes = await lab.add(3)
    await lab.publish()
    path = [node.hop_key for node in nodes]
    assert (await ask(connect, nodes[0], path))[0] == 200
    without = lab.directory([nodes[0].listed(), nodes[2].listed()])
    nodes[0].mailbox.directories.put_nowait(without.signed)
    nodes[2].mailbox.directories.put_nowait(without.signed)
    for node in (nodes[0], nodes[2]):
        await node.mailbox.directories.join()
    status, body = await ask(connect, nodes[0], path)
    assert (status, body) == (502, b"Next node not found: " + nodes[1].key.hex().encode())
    # The one that left still believes the old directory and still has its stream to the third.
    status, _ = await ask(connect, nodes[1], path[1:])
    assert status in (403, 502)
    assert len(nodes[2].mailbox.calls) == 1


async def test_nodes_are_reached_in_whatever_state_they_are(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2)
    for state in (NodeState.UNREACHABLE, NodeState.DRAINING, NodeState.ACTIVE):
        await lab.publish(lab.directory([nodes[0].listed(), nodes[1].listed(state=state)]))
        assert (await ask(connect, nodes[0], [node.hop_key for node in nodes]))[0] == 200


async def test_a_node_that_moved_is_found_again(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2)
    await lab.publish()
    path = [node.hop_key for node in nodes]
    assert (await ask(connect, nodes[0], path))[0] == 200
    (moved,) = await lab.add(secrets=[nodes[1].seed])
    lab.nodes.remove(nodes[1])
    await lab.publish(lab.directory([nodes[0].listed(), moved.listed()]))
    assert (await ask(connect, nodes[0], path))[0] == 200
    assert len(moved.mailbox.calls) == 1
