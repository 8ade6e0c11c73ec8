from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from operators.local.nats_config import NatsConfig
from operators.local.nats_server import NatsServer, free_port
from services.chassis.certificates import Identity
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.provision import StreamPlan, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import Unavailable
from services.chassis.nats.settings import NatsSettings

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


@pytest.fixture
def identity() -> Identity:
    return Identity.make("nats", addresses=("127.0.0.1",))


@pytest.fixture
def server(nats_server_factory: Callable[..., NatsServer], identity: Identity) -> NatsServer:
    def configure(directory: Path) -> NatsConfig:
        identity.write(directory)
        return NatsConfig(
            server_name="tls",
            port=free_port(),
            store=directory / "store",
            log=directory / "nats.log",
            max_store_bytes=1 << 30,
            certificate=(directory / "certificate.pem", directory / "key.pem"),
        )

    return nats_server_factory(configure)


def trusting(identity: Identity) -> Callable[[], ssl.SSLContext]:
    return lambda: ssl.create_default_context(cadata=identity.certificate_pem.decode())


async def test_events_go_through_tls(server: NatsServer, identity: Identity) -> None:
    settings = NatsSettings(servers=(server.url,), tls=trusting(identity))
    async with await NatsConnection.connect(settings) as connection:
        plan = StreamPlan(name="T", subjects=("t.>",), max_bytes=10_000_000, max_event_bytes=1_000_000)
        await ensure_stream(connection, plan)
        log = await JetStreamLog.open(connection, "T")
        payload = bytes(range(256)) * 3000
        assert await log.append("t.a", payload) == 1
        event = await log.read(1)
        assert event is not None
        assert event.payload == payload
        await log.close()


async def test_another_certificate_is_not_trusted(server: NatsServer) -> None:
    stranger = Identity.make("nats", addresses=("127.0.0.1",))
    with pytest.raises(Unavailable):
        await NatsConnection.connect(NatsSettings(servers=(server.url,), tls=trusting(stranger)))


async def test_a_server_with_tls_takes_nobody_without(server: NatsServer) -> None:
    with pytest.raises(Unavailable):
        await NatsConnection.connect(NatsSettings(servers=(server.url,)), on_fault=lambda _: None)
