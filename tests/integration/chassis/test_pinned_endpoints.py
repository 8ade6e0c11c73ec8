"""TLS between nodes: both sides' certificates are pinned, and the server's list changes while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.certificates import Identity
from services.chassis.grpc_endpoint import TrustedPeers, pinned_channel, pinned_server, unix_channel, unix_server
from services.chassis.packed import PackedClient, Reply, StreamBroken, StreamState, serve_packed

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[AsyncIterator[Packet], AsyncIterator[Packet]]

SERVER, ALICE, BOB = (Identity.make(name * 32) for name in ("5e", "a1", "b0"))


class Node(HopServiceServicer):
    """Answers with the certificate that it saw, and hangs up on those who are not on its list any more."""

    def __init__(self, trusted: TrustedPeers) -> None:
        self.trusted = trusted
        self.callers: list[bytes | None] = []

    async def Exchange(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[Packet], context: Context
    ) -> AsyncIterator[Packet]:
        caller = self.trusted.caller(context)
        self.callers.append(caller)
        if caller is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED)
        async for packet in serve_packed(request_iterator, lambda code, _: Reply(code, caller)):
            if not self.trusted.holds(caller):
                await context.abort(grpc.StatusCode.PERMISSION_DENIED)
            yield packet


@asynccontextmanager
async def node(trusted: TrustedPeers, identity: Identity = SERVER, servicer: Node | None = None) -> AsyncIterator[str]:
    server, port = pinned_server("127.0.0.1:0", identity, trusted)
    add_HopServiceServicer_to_server(servicer or Node(trusted), server)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def ask(address: str, me: Identity, peer: bytes = SERVER.certificate) -> Reply:
    async with pinned_channel(address, me, peer) as channel, PackedClient(HopServiceStub(channel).Exchange) as calls:
        return await calls.call(200, b"", 10)


async def test_a_listed_client_is_served_and_known_by_its_exact_certificate() -> None:
    async with node(TrustedPeers([ALICE.certificate, BOB.certificate])) as address:
        assert await ask(address, ALICE) == Reply(200, ALICE.certificate)
        assert await ask(address, BOB) == Reply(200, BOB.certificate)


async def test_an_unlisted_client_is_refused_until_it_is_added_and_again_when_removed() -> None:
    trusted = TrustedPeers([ALICE.certificate])
    async with node(trusted) as address:
        with pytest.raises(StreamBroken):
            await ask(address, BOB)
        trusted.replace([ALICE.certificate, BOB.certificate])
        assert (await ask(address, BOB)).body == BOB.certificate
        trusted.replace([ALICE.certificate])
        with pytest.raises(StreamBroken):
            await ask(address, BOB)
        assert (await ask(address, ALICE)).body == ALICE.certificate


async def test_an_empty_list_lets_nobody_in() -> None:
    trusted = TrustedPeers()
    async with node(trusted) as address:
        with pytest.raises(StreamBroken, match="UNAVAILABLE"):  # by TLS itself
            await ask(address, ALICE)
        # The server's own certificate stands in for the empty list, and is let no further.
        with pytest.raises(StreamBroken, match="PERMISSION_DENIED"):
            await ask(address, SERVER)
        trusted.replace([ALICE.certificate])
        assert (await ask(address, ALICE)).status == 200


async def test_a_client_without_a_certificate_is_refused() -> None:
    async with node(TrustedPeers([ALICE.certificate])) as address:
        credentials = grpc.ssl_channel_credentials(SERVER.certificate_pem)
        options = [("grpc.ssl_target_name_override", "5e" * 32)]
        async with (
            grpc.aio.secure_channel(address, credentials, options) as channel,
            PackedClient(HopServiceStub(channel).Exchange) as calls,
        ):
            with pytest.raises(StreamBroken):
                await calls.call(200, b"", 10)


async def test_a_client_that_does_not_speak_tls_is_refused() -> None:
    async with (
        node(TrustedPeers([ALICE.certificate])) as address,
        grpc.aio.insecure_channel(address) as channel,
        PackedClient(HopServiceStub(channel).Exchange) as calls,
    ):
        with pytest.raises(StreamBroken):
            await calls.call(200, b"", 10)


async def test_a_server_with_any_other_certificate_is_refused_even_of_the_same_name() -> None:
    impostor = Identity.make("5e" * 32)
    async with node(TrustedPeers([ALICE.certificate]), impostor) as address:
        with pytest.raises(StreamBroken):
            await ask(address, ALICE)
        with pytest.raises(StreamBroken):
            await ask(address, ALICE, peer=BOB.certificate)


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
    servicer = Node(trusted)
    async with node(trusted, servicer=servicer) as address:
        with pytest.raises(StreamBroken, match="PERMISSION_DENIED"):
            await ask(address, minted)
    assert set(servicer.callers) == {None}


async def test_a_stream_already_open_ends_when_its_client_is_removed() -> None:
    trusted = TrustedPeers([ALICE.certificate])
    async with (
        node(trusted) as address,
        pinned_channel(address, ALICE, SERVER.certificate) as channel,
        PackedClient(HopServiceStub(channel).Exchange) as calls,
    ):
        assert (await calls.call(200, b"", 10)).status == 200
        trusted.replace([BOB.certificate])
        with pytest.raises(StreamBroken, match="PERMISSION_DENIED"):
            await calls.call(200, b"", 10)


async def test_many_nodes_in_one_process_keep_connections_of_their_own() -> None:
    trusted = TrustedPeers([ALICE.certificate, BOB.certificate])
    async with (
        node(trusted) as address,
        pinned_channel(address, ALICE, SERVER.certificate) as of_alice,
        pinned_channel(address, BOB, SERVER.certificate) as of_bob,
        PackedClient(HopServiceStub(of_alice).Exchange) as alice,
        PackedClient(HopServiceStub(of_bob).Exchange) as bob,
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


async def test_a_port_in_use_is_an_error() -> None:
    async with node(TrustedPeers()) as address:
        with pytest.raises(RuntimeError):
            pinned_server(address, SERVER, TrustedPeers())


async def test_ten_mebibytes_pass_over_tls() -> None:
    body = bytes(10 * 2**20)

    class Large(HopServiceServicer):
        async def Exchange(self, request_iterator: AsyncIterator[Packet], _: object) -> AsyncIterator[Packet]:  # noqa: N802
            async for packet in serve_packed(request_iterator, Reply):
                yield packet

    server, port = pinned_server("127.0.0.1:0", SERVER, TrustedPeers([ALICE.certificate]))
    add_HopServiceServicer_to_server(Large(), server)
    await server.start()
    async with (
        pinned_channel(f"127.0.0.1:{port}", ALICE, SERVER.certificate) as channel,
        PackedClient(HopServiceStub(channel).Exchange) as calls,
    ):
        assert await calls.call(200, body, 30) == Reply(200, body)
    await server.stop(None)


def test_a_socket_path_that_is_too_long_is_refused_in_plain_words() -> None:
    with pytest.raises(ValueError, match="107 bytes"):
        unix_channel(Path("/tmp") / ("x" * 120))
