"""Appends that share a batch: each has its place and its answer, and all are on the disk before any is acknowledged."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from operators.local.nats_server import NatsServer
from services.chassis.eventlog import jetstream_api
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.port import LogFull, LogUnavailable
from services.chassis.eventlog.provision import StreamPlan, ensure_stream
from services.chassis.nats.connection import NatsConnection
from tests.chaos.system_calls import traced, why_not

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

MANY = 200
WITHIN_S = 20.0
Connect = Callable[..., Awaitable[NatsConnection]]


async def opened(nats: NatsConnection, net: str, *, max_bytes: int = 50_000_000) -> JetStreamLog:
    plan = StreamPlan(name=f"TEST_{net}", subjects=(f"{net}.>",), max_bytes=max_bytes, max_event_bytes=20_000)
    await ensure_stream(nats, plan)
    return await JetStreamLog.open(nats, plan.name, append_timeout_s=WITHIN_S)


def append_at_once(log: JetStreamLog, net: str, count: int, payload: bytes = b"x") -> list[asyncio.Future[int]]:
    return [log.append(f"{net}.{number}", payload + b"%d" % number, ttl_s=3600) for number in range(count)]


async def groups_of(nats: NatsConnection, net: str, last: int) -> list[bytes | None]:
    """Return which batch each event came in."""
    found: list[bytes | None] = []
    for sequence in range(1, last + 1):
        reply = await nats.request(f"$JS.API.DIRECT.GET.TEST_{net}", b'{"seq":%d}' % sequence)
        batch = re.search(rb"Nats-Batch-Id: (\w+)", reply.headers or b"")
        found.append(batch[1] if batch else None)
    return found


async def test_many_share_a_few_batches_and_a_few_share_none(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id)
    assert await asyncio.gather(*append_at_once(log, network_id, 5)) == [1, 2, 3, 4, 5]
    assert await asyncio.gather(*append_at_once(log, network_id, MANY)) == list(range(6, 6 + MANY))
    groups = await groups_of(nats, network_id, 5 + MANY)
    assert groups[:5] == [None] * 5
    together = [group for group in groups if group is not None]
    assert len(together) > MANY // 2
    assert len(set(together)) < 4
    await log.close()


async def test_events_of_a_group_are_whole_and_expire(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id)
    appends = [log.append(f"{network_id}.{n}", b"%d" % n, ttl_s=1 if n % 2 else None) for n in range(MANY)]
    sequences = await asyncio.gather(*appends)
    for number in (0, MANY // 2, MANY - 1):
        event = await log.read(sequences[number])
        assert event is not None
        assert (event.subject, event.payload) == (f"{network_id}.{number}", b"%d" % number)
    async with asyncio.timeout(WITHIN_S):
        while await log.read(sequences[-1]) is not None:  # noqa: ASYNC110 - nobody tells of an expiry
            await asyncio.sleep(0.1)
    assert await log.read(sequences[-2]) is not None
    await log.close()


async def test_a_refused_group_is_sent_event_by_event(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id)
    stream = f"TEST_{network_id}"
    config = (await jetstream_api.ask(nats, f"STREAM.INFO.{stream}"))["config"]
    await jetstream_api.ask(nats, f"STREAM.UPDATE.{stream}", config | {"allow_atomic": False})
    assert await asyncio.gather(*append_at_once(log, network_id, MANY)) == list(range(1, MANY + 1))
    assert set(await groups_of(nats, network_id, MANY)) == {None}
    await log.close()


async def test_a_log_that_has_room_for_a_part_of_a_group_takes_that_part(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id, max_bytes=100_000)
    results = await asyncio.gather(*append_at_once(log, network_id, MANY, bytes(1000)), return_exceptions=True)
    taken = [result for result in results if isinstance(result, int)]
    assert 50 < len(taken) < MANY
    assert all(isinstance(result, LogFull) for result in results[len(taken) :])
    await log.close()


async def test_a_group_on_its_way_when_the_server_dies_fails_and_the_next_one_works(
    nats_server_factory: Callable[..., NatsServer], nats_connect: Connect, network_id: str
) -> None:
    server = nats_server_factory()
    nats = await nats_connect(server)
    log = await opened(nats, network_id)
    await log.append(f"{network_id}.first", b"x")
    server.pause()
    appends = append_at_once(log, network_id, MANY)
    await asyncio.sleep(0.05)  # the group has been sent: nothing says so from outside
    server.kill()
    results = await asyncio.gather(*appends, return_exceptions=True)
    assert all(isinstance(result, LogUnavailable) for result in results)
    await server.start_async()
    async with asyncio.timeout(WITHIN_S):
        await nats.until_connected()
    last = (await log.identity()).last_sequence
    assert await asyncio.gather(*append_at_once(log, network_id, MANY)) == list(range(last + 1, last + 1 + MANY))
    await log.close()


async def test_closing_sends_what_still_waits_for_a_group(nats: NatsConnection, network_id: str) -> None:
    log = await opened(nats, network_id)
    appends = append_at_once(log, network_id, MANY)
    async with asyncio.timeout(WITHIN_S):
        await log.close()
    assert sorted(append.result() for append in appends) == list(range(1, MANY + 1))


async def test_a_group_is_acknowledged_after_all_of_it_is_synced(
    nats_server_factory: Callable[..., NatsServer], nats_connect: Connect, network_id: str, tmp_path: Path
) -> None:
    if reason := why_not():
        pytest.skip(reason)
    server = nats_server_factory()
    log = await opened(await nats_connect(server), network_id)
    await asyncio.gather(*append_at_once(log, network_id, MANY))
    with traced({"nats": server.pid}, tmp_path / "trace") as trace:
        await asyncio.gather(*append_at_once(log, network_id, MANY, bytes(1000)))
        await log.identity()  # the acknowledgement is here before the tracer has heard that its sending returned
    block = re.compile(rf"/TEST_{network_id}/msgs/\d+\.blk$")
    calls = [call for call in trace.of("nats") if block.search(call.path)]
    writes = [call for call in calls if call.name == "pwrite64"]
    syncs = [call for call in calls if call.name == "fsync" and call.result == 0]
    assert len(writes) == MANY
    assert 0 < len(syncs) < MANY // 2, "a group is synced as a whole"
    sent = [call for call in trace.of("nats") if call.path.startswith("TCP:") and "write" in call.name]
    last_sync = next(sync for sync in syncs if sync.begun > writes[-1].ended)
    assert any(call.begun > last_sync.ended for call in sent), "the last acknowledgement follows the last sync"
    assert not any(writes[-1].ended < call.begun < last_sync.ended for call in sent)
    await log.close()
