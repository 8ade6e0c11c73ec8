"""What only a JetStream follower goes through: its consumer vanishes, changes, is shared, or deliveries are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from operators.local.nats_server import NatsServer
from services.chassis.eventlog import jetstream_api
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.jetstream_follower import FollowerBounds, JetStreamFollower
from services.chassis.eventlog.port import FollowerMissing, LogRefused
from services.chassis.eventlog.provision import StreamPlan, ensure_follower, ensure_stream, remove_follower
from services.chassis.nats.connection import NatsConnection

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

WITHIN_S = 20.0


async def opened(
    nats: NatsConnection, net: str, *, patience_s: float = 0.5, window: int = 4096, rest_s: float = 0.0
) -> JetStreamLog:
    stream = f"TEST_{net}"
    await ensure_stream(
        nats, StreamPlan(name=stream, subjects=(f"{net}.>",), max_bytes=50_000_000, max_event_bytes=20_000)
    )
    bounds = FollowerBounds(heartbeat_s=0.1, patience_s=patience_s, window=window, rest_s=rest_s)
    return await JetStreamLog.open(nats, stream, append_timeout_s=WITHIN_S, follower_bounds=bounds)


async def append_many(log: JetStreamLog, subject: str, count: int) -> None:
    await asyncio.gather(*(log.append(subject, b"x") for _ in range(count)))


async def collect(follower: JetStreamFollower, count: int) -> list[int]:
    """Return the sequences of the next events, at least so many."""
    sequences: list[int] = []
    async with asyncio.timeout(WITHIN_S):
        while len(sequences) < count:
            sequences += [event.sequence for event in (await anext(follower)).events]
    return sequences


async def test_a_missing_consumer_is_waited_for_and_then_complained_of(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id)
    await append_many(log, f"{network_id}.a", 3)
    follower = log.follow("f", [f"{network_id}.>"], after=0)
    with pytest.raises(FollowerMissing):
        await anext(follower)
    waiting = asyncio.ensure_future(collect(follower, 3))
    await asyncio.sleep(0.1)  # it is asking again meanwhile
    await ensure_follower(nats, f"TEST_{network_id}", "f", [f"{network_id}.>"])
    assert await waiting == [1, 2, 3]
    await log.close()


async def test_a_consumer_for_other_subjects_is_not_followed(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id)
    await ensure_follower(nats, f"TEST_{network_id}", "f", [f"{network_id}.b"])
    with pytest.raises(FollowerMissing):
        await anext(log.follow("f", [f"{network_id}.a"], after=0))
    await log.close()


async def test_a_missing_stream_is_an_operators_matter(nats: NatsConnection) -> None:
    with pytest.raises(LogRefused) as refused:
        await JetStreamLog.open(nats, "NO_SUCH")
    assert refused.value.code == jetstream_api.STREAM_NOT_FOUND


async def test_a_consumer_made_anew_under_its_reader_costs_nothing(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id, patience_s=10)
    stream, patterns = f"TEST_{network_id}", [f"{network_id}.>"]
    await ensure_follower(nats, stream, "f", patterns)
    follower = log.follow("f", patterns, after=0)
    await append_many(log, f"{network_id}.a", 10)
    assert await collect(follower, 10) == list(range(1, 11))
    waiting = asyncio.ensure_future(collect(follower, 10))
    await asyncio.sleep(0)
    assert await remove_follower(nats, stream, "f")
    await append_many(log, f"{network_id}.a", 10)
    await ensure_follower(nats, stream, "f", patterns)
    assert await waiting == list(range(11, 21))
    await log.close()


async def test_two_readers_of_one_name_disturb_but_do_not_rob_each_other(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id, window=60)
    patterns = [f"{network_id}.>"]
    await ensure_follower(nats, f"TEST_{network_id}", "f", patterns)
    await append_many(log, f"{network_id}.a", 50)
    # A window hardly above what there is: what the server sends to the reader that does not listen is soon used up.
    first = log.follow("f", patterns, after=0)
    assert await collect(first, 50) == list(range(1, 51))
    second = log.follow("f", patterns, after=0)
    assert await collect(second, 50) == list(range(1, 51))
    await second.close()
    await append_many(log, f"{network_id}.a", 50)
    assert await collect(first, 50) == list(range(51, 101)), "the first one resets the consumer again"
    await log.close()


@pytest.mark.parametrize("lose", ["one in the middle", "the last", "all"])
async def test_lost_deliveries_come_again(nats: NatsConnection, network_id: str, lose: str) -> None:
    log = await opened(nats, network_id)
    patterns = [f"{network_id}.>"]
    await ensure_follower(nats, f"TEST_{network_id}", "f", patterns)
    follower = log.follow("f", patterns, after=0)
    await append_many(log, f"{network_id}.a", 5)
    assert await collect(follower, 5) == [1, 2, 3, 4, 5]
    deliver = follower._on_message
    seen = 0

    def lossy(subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        nonlocal seen
        if reply is not None:
            seen += 1
            if lose == "all" or seen == (10 if lose == "the last" else 4):
                return
        deliver(subject, reply, headers, payload)

    assert follower._subscription is not None
    nats._callbacks[follower._subscription.sid] = lossy  # until the follower subscribes anew
    await append_many(log, f"{network_id}.a", 10)
    assert await collect(follower, 10) == list(range(6, 16))
    await log.close()


async def test_a_reader_that_does_not_come_back_is_not_flooded(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id, window=100)
    patterns = [f"{network_id}.>"]
    await ensure_follower(nats, f"TEST_{network_id}", "f", patterns)
    follower = log.follow("f", patterns, after=0)
    await append_many(log, f"{network_id}.a", 1)
    assert await collect(follower, 1) == [1]
    await append_many(log, f"{network_id}.a", 1000)
    await nats.flush()
    assert len(follower._unread) // 3 <= 100
    assert await collect(follower, 1000) == list(range(2, 1002))
    await log.close()


async def test_a_pull_that_ends_is_followed_by_another(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id)
    stream, patterns = f"TEST_{network_id}", [f"{network_id}.>"]
    await ensure_follower(nats, stream, "f", patterns)
    short = await JetStreamLog.open(nats, stream, follower_bounds=FollowerBounds(heartbeat_s=0.1, pull_s=0.3))
    follower = short.follow("f", patterns, after=0)
    waiting = asyncio.ensure_future(collect(follower, 1))
    await asyncio.sleep(1.0)  # several pulls end unused
    subscription = follower._subscription
    await append_many(log, f"{network_id}.a", 1)
    assert await waiting == [1]
    assert follower._subscription is subscription, "no reset was needed"
    await short.close()
    await log.close()


async def test_an_idle_follower_is_not_reset(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id)
    patterns = [f"{network_id}.>"]
    await ensure_follower(nats, f"TEST_{network_id}", "f", patterns)
    follower = log.follow("f", patterns, after=0)
    waiting = asyncio.ensure_future(collect(follower, 1))
    await asyncio.sleep(0.2)
    subscription = follower._subscription
    assert subscription is not None
    await asyncio.sleep(1.0)  # ten heartbeats
    assert follower._subscription is subscription
    await append_many(log, f"{network_id}.a", 1)
    assert await waiting == [1]
    await log.close()


async def test_an_erased_events_bytes_leave_the_disk(
    nats: NatsConnection, nats_server: NatsServer, network_id: str
) -> None:
    log = await opened(nats, network_id)
    marks = {kind: f"{kind}-{network_id}".encode() * 20 for kind in ("erased", "kept")}
    erased = await log.append(f"{network_id}.secret-subject", marks["erased"])
    await log.append(f"{network_id}.a", marks["kept"])
    store = nats_server.config.store
    assert on_disk(store, marks["erased"])
    assert await log.erase(erased)
    assert not on_disk(store, marks["erased"])
    assert not on_disk(store, f"{network_id}.secret-subject".encode())
    assert on_disk(store, marks["kept"]), "the search itself works"
    await log.close()


def on_disk(folder: Path, text: bytes) -> bool:
    return any(text in path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_restart_is_answered_on_the_new_connection_and_not_by_missed_heartbeats(
    nats_server_factory: Callable[..., NatsServer], nats_connect: Callable[..., Awaitable[NatsConnection]]
) -> None:
    server = nats_server_factory()
    connection = await nats_connect(server)
    log = await opened(connection, "n")
    await ensure_follower(connection, "TEST_n", "f", ["n.>"])
    patient = await JetStreamLog.open(connection, "TEST_n", follower_bounds=FollowerBounds(heartbeat_s=15))
    follower = patient.follow("f", ["n.>"], after=0)
    await append_many(log, "n.a", 3)
    assert await collect(follower, 3) == [1, 2, 3]
    waiting = asyncio.ensure_future(collect(follower, 1))
    await asyncio.sleep(0)
    up = asyncio.Event()
    connection.on_reconnect(up.set)
    server.kill()
    server.start()
    async with asyncio.timeout(10):  # three heartbeats would be 45 seconds
        await up.wait()
        await append_many(log, "n.a", 1)
        assert await waiting == [4]
    await patient.close()
    await log.close()


@pytest.mark.parametrize("window", [4, 4096])
async def test_one_who_rests_gets_everything_in_order(nats: NatsConnection, network_id: str, window: int) -> None:
    log = await opened(nats, network_id, window=window, rest_s=0.01)
    await ensure_follower(nats, f"TEST_{network_id}", "f", [f"{network_id}.>"])
    follower = log.follow("f", [f"{network_id}.>"], after=0)
    for number in range(3):
        await append_many(log, f"{network_id}.a", 10)
        assert await collect(follower, 10) == list(range(1 + 10 * number, 11 + 10 * number))
    large = [log.append(f"{network_id}.a", bytes(19_000)) for _ in range(12)]
    assert await collect(follower, 12) == await asyncio.gather(*large)
    await log.close()


async def test_while_one_rests_the_server_delivers_nothing(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id, rest_s=2.0)
    stream = f"TEST_{network_id}"
    await ensure_follower(nats, stream, "f", [f"{network_id}.>"])
    follower = log.follow("f", [f"{network_id}.>"], after=0)
    await append_many(log, f"{network_id}.a", 2)
    assert await collect(follower, 2) == [1, 2]
    waiting = asyncio.ensure_future(collect(follower, 2))

    async def delivered() -> int:
        info = await jetstream_api.ask(nats, f"CONSUMER.INFO.{stream}.f")
        return int(info["delivered"]["stream_seq"])

    for _ in range(2):
        await append_many(log, f"{network_id}.a", 1)
        assert await delivered() == 2
    assert await waiting == [3, 4], "both in one delivery, once the rest is over"
    await log.close()
