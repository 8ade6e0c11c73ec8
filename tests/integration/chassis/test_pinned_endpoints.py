"""TLS between nodes: both sides' certificates are pinned, and the server's list changes while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.certificates import Identity, TrustedPeers
from services.chassis.grpc_endpoint import unix_channel, unix_server
from services.chassis.http2 import Incoming, Listener, dial
from services.chassis.packed import PackedClient, Reply, StreamBroken, StreamState, serve_packed

SERVER, ALICE, BOB = (Identity.make(name * 32) for name in ("5e", "a1", "b0"))
EXCHANGE = "/naisho.wire.node.v1.HopService/Exchange"


@asynccontextmanager
async def node(trusted: TrustedPeers) -> AsyncIterator[int]:
    """Listen as a node does, and answer each caller with the certificate that was seen of it."""

    async def serve(stream: Incoming[Packet]) -> None:
        async for packet in serve_packed(stream, lambda code, _: Reply(code, stream.certificate)):
            await stream.write(packet)

    listener = Listener(EXCHANGE, Packet, serve, SERVER, trusted)
    try:
        yield await listener.start("127.0.0.1", 0)
    finally:
        await listener.stop()


def calls_of(port: int, me: Identity) -> PackedClient:
    return PackedClient(lambda: dial(("127.0.0.1", port), me, SERVER.certificate, EXCHANGE, Packet))


async def ask(port: int, me: Identity) -> Reply:
    async with calls_of(port, me) as calls:
        return await calls.call(200, b"", 10)


async def test_a_listed_client_is_served_and_known_by_its_exact_certificate() -> None:
    async with node(TrustedPeers([ALICE.certificate, BOB.certificate])) as port:
        assert await ask(port, ALICE) == Reply(200, ALICE.certificate)
        assert await ask(port, BOB) == Reply(200, BOB.certificate)


async def test_an_unlisted_client_is_refused_until_it_is_added_and_again_when_removed() -> None:
    trusted = TrustedPeers([ALICE.certificate])
    async with node(trusted) as port:
        with pytest.raises(StreamBroken):
            await ask(port, BOB)
        trusted.replace([ALICE.certificate, BOB.certificate])
        assert (await ask(port, BOB)).body == BOB.certificate
        trusted.replace([ALICE.certificate])
        with pytest.raises(StreamBroken):
            await ask(port, BOB)
        assert (await ask(port, ALICE)).body == ALICE.certificate


async def test_an_empty_list_lets_nobody_in() -> None:
    trusted = TrustedPeers()
    async with node(trusted) as port:
        for stranger in (ALICE, SERVER):
            with pytest.raises(StreamBroken):
                await ask(port, stranger)
        trusted.replace([ALICE.certificate])
        assert (await ask(port, ALICE)).status == 200


async def test_a_listed_certificate_cannot_vouch_for_another() -> None:
    """Were an authority's certificate listed, TLS would accept what it signed; the exact check does not."""
    authority_key, minted_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)

    def certify(name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(authority_key, hashes.SHA256())
            .public_bytes(serialization.Encoding.DER)
        )

    minted = Identity(
        certify("a1" * 32, minted_key, ca=False),
        minted_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    trusted = TrustedPeers([certify("authority", authority_key, ca=True)])
    async with node(trusted) as port:
        with pytest.raises(StreamBroken, match="UNAUTHENTICATED"):
            await ask(port, minted)


async def test_many_nodes_in_one_process_keep_connections_of_their_own() -> None:
    trusted = TrustedPeers([ALICE.certificate, BOB.certificate])
    async with (
        node(trusted) as port,
        calls_of(port, ALICE) as alice,
        calls_of(port, BOB) as bob,
    ):
        answers = await asyncio.gather(*(calls.call(200, b"", 10) for calls in (alice, bob) * 10))
        assert [answer.body for answer in answers] == [ALICE.certificate, BOB.certificate] * 10


async def test_two_channels_to_one_socket_do_not_share_a_connection(tmp_path: Path) -> None:
    socket = tmp_path / "s"

    class Plain(HopServiceServicer):
        async def Exchange(self, request_iterator: AsyncIterator[Packet], _: object) -> AsyncIterator[Packet]:  # noqa: N802
            async for packet in serve_packed(request_iterator, Reply):
                yield packet

    def connections() -> int:
        sockets = [line.split() for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()]
        return sum(fields[-1] == str(socket) and fields[5] == "03" for fields in sockets)  # 03: connected

    server = unix_server(socket)
    add_HopServiceServicer_to_server(Plain(), server)
    await server.start()
    async with (
        unix_channel(socket) as one,
        unix_channel(socket) as other,
        PackedClient(HopServiceStub(one).Exchange) as of_one,
        PackedClient(HopServiceStub(other).Exchange) as of_other,
    ):
        await of_one.wait_for(StreamState.OPEN)
        await of_other.wait_for(StreamState.OPEN)
        assert connections() == 2
    await server.stop(None)


def test_a_socket_path_that_is_too_long_is_refused_in_plain_words() -> None:
    with pytest.raises(ValueError, match="107 bytes"):
        unix_channel(Path("/tmp") / ("x" * 120))
