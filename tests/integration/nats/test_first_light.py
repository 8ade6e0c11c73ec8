from __future__ import annotations

from operators.local.nats_server import NatsServer
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.provision import StreamPlan, ensure_follower, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.names import NetworkNames


async def test_an_event_goes_through_append_follow_read_and_erase(nats: NatsConnection, network_id: str) -> None:
    names = NetworkNames(network_id)
    stream = names.mail_stream
    await ensure_stream(
        nats, StreamPlan(name=stream, subjects=(names.swarm,), max_bytes=1_000_000, max_event_bytes=100_000)
    )
    await ensure_follower(nats, stream, "reader", [names.shard(7)])
    log = await JetStreamLog.open(nats, stream)
    subject = names.mailbox(7, "ab" * 16)
    assert await log.append(subject, b"one") == 1
    assert await log.append(subject, b"two", expected=1, ttl_s=60) == 2
    follower = log.follow("reader", [names.shard(7)], after=0)
    seen = []
    async for batch in follower:
        seen += [event.payload for event in batch.events]
        if len(seen) == 2:
            break
    assert seen == [b"one", b"two"]
    first = await log.read(1)
    assert first is not None
    assert first.payload == b"one"
    assert await log.erase(1)
    assert not await log.erase(1)
    assert await log.read(1) is None
    await log.close()


def test_the_server_syncs_before_it_acknowledges(nats_server: NatsServer) -> None:
    assert nats_server.reported_sync_settings().always
