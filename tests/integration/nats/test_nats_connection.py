"""The NATS client against a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from operators.local.nats_server import NatsServer
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import (
    NoResponders,
    PayloadTooLarge,
    RequestTimedOut,
    Unavailable,
)
from services.chassis.nats.settings import NatsSettings
from tests.integration.nats.echoing import echo

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

Connect = Callable[..., Awaitable[NatsConnection]]
WITHIN_S = 10.0


async def test_requests_are_answered_each_with_its_own(nats: NatsConnection, network_id: str) -> None:
    nats.subscribe(f"{network_id}.echo", echo(nats))
    replies = await asyncio.gather(*(nats.request(f"{network_id}.echo", b"%d" % n) for n in range(500)))
    assert [reply.payload for reply in replies] == [b"%d" % n for n in range(500)]
    assert nats.in_flight == 0


async def test_headers_and_payload_are_kept_apart(nats: NatsConnection, network_id: str) -> None:
    nats.subscribe(f"{network_id}.echo", echo(nats))
    headers = b"NATS/1.0\r\nA: b\r\n\r\n"
    assert await nats.request(f"{network_id}.echo", b"\r\nx\r\n", headers=headers) == (headers, b"\r\nx\r\n")
    assert await nats.request(f"{network_id}.echo", b"") == (None, b"")


async def test_wildcards_queues_and_unsubscription(nats: NatsConnection, network_id: str) -> None:
    heard: dict[str, list[bytes]] = {"star": [], "tail": [], "queue": []}

    def into(name: str) -> Callable[..., None]:
        return lambda _subject, _reply, _headers, payload: heard[name].append(payload)

    star = nats.subscribe(f"{network_id}.*", into("star"))
    nats.subscribe(f"{network_id}.>", into("tail"))
    for _ in range(2):
        nats.subscribe(f"{network_id}.a", into("queue"), queue="workers")
    nats.publish(f"{network_id}.a", b"1")
    nats.publish(f"{network_id}.a.b", b"2")
    await nats.flush()
    nats.unsubscribe(star)
    nats.unsubscribe(star)
    nats.publish(f"{network_id}.a", b"3")
    await nats.flush()
    assert heard == {"star": [b"1"], "tail": [b"1", b"2", b"3"], "queue": [b"1", b"3"]}


async def test_a_request_that_nobody_hears_fails_at_once(nats: NatsConnection, network_id: str) -> None:
    started = time.monotonic()
    with pytest.raises(NoResponders):
        await nats.request(f"{network_id}.nobody", b"", timeout_s=30)
    assert time.monotonic() - started < WITHIN_S


async def test_a_request_that_nobody_answers_times_out(nats: NatsConnection, network_id: str) -> None:
    nats.subscribe(f"{network_id}.deaf", lambda *_: None)
    started = time.monotonic()
    with pytest.raises(RequestTimedOut):
        await nats.request(f"{network_id}.deaf", b"", timeout_s=0.2)
    assert 0.19 <= time.monotonic() - started < WITHIN_S  # timers have a grain
    assert nats.in_flight == 0


async def test_a_cancelled_request_leaves_nothing_behind(nats: NatsConnection, network_id: str) -> None:
    nats.subscribe(f"{network_id}.echo", echo(nats))
    request = nats.request(f"{network_id}.echo", b"x")
    request.cancel()
    assert (await nats.request(f"{network_id}.echo", b"y")).payload == b"y"
    assert nats.in_flight == 0


async def test_a_payload_above_the_limit_is_not_sent_and_headers_count(nats: NatsConnection, network_id: str) -> None:
    limit = nats.max_payload
    assert limit == 1024 * 1024
    with pytest.raises(PayloadTooLarge) as refused:
        nats.publish(f"{network_id}.a", bytes(limit + 1))
    assert refused.value.limit == limit
    headers = b"NATS/1.0\r\nA: b\r\n\r\n"
    with pytest.raises(PayloadTooLarge):
        await nats.request(f"{network_id}.a", bytes(limit - len(headers) + 1), headers=headers)
    heard: list[int] = []
    nats.subscribe(f"{network_id}.a", lambda _subject, _reply, _headers, payload: heard.append(len(payload)))
    nats.publish(f"{network_id}.a", bytes(limit - len(headers)), headers=headers)
    nats.publish(f"{network_id}.a", bytes(limit))
    await nats.flush()
    assert heard == [limit - len(headers), limit]


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0", "a\tb", "a\x00"])
async def test_subjects_cannot_inject_protocol_text(nats: NatsConnection, subject: str) -> None:
    for call in (nats.publish, nats.request):
        with pytest.raises(ValueError, match="subject"):
            call(subject, b"")
    with pytest.raises(ValueError, match="subject"):
        nats.publish("a", b"", reply=subject)
    with pytest.raises(ValueError, match="subject"):
        nats.subscribe(subject, lambda *_: None)


async def test_what_a_callback_raises_is_heard_of_and_costs_nothing_else(
    nats_server: NatsServer, network_id: str
) -> None:
    faults: list[Exception] = []
    async with await NatsConnection.connect(NatsSettings(servers=(nats_server.url,)), faults.append) as connection:
        connection.subscribe(f"{network_id}.bad", lambda *_: dict[str, None]()["none"])
        connection.subscribe(f"{network_id}.echo", echo(connection))
        connection.publish(f"{network_id}.bad", b"")
        assert (await connection.request(f"{network_id}.echo", b"on")).payload == b"on"
        assert [type(fault) for fault in faults] == [KeyError]


async def test_closing_sends_what_was_written_and_fails_what_waits(
    nats_connect: Connect, nats_server: NatsServer, nats: NatsConnection, network_id: str
) -> None:
    heard: list[bytes] = []
    nats.subscribe(f"{network_id}.a", lambda _subject, _reply, _headers, payload: heard.append(payload))
    nats.subscribe(f"{network_id}.deaf", lambda *_: None)
    await nats.flush()
    connection = await nats_connect(nats_server)
    waiting = connection.request(f"{network_id}.deaf", b"")
    for number in range(100):
        connection.publish(f"{network_id}.a", b"%d" % number)
    await connection.close()
    await nats.flush()
    assert heard == [b"%d" % number for number in range(100)]
    with pytest.raises(Unavailable) as failed:
        await waiting
    assert failed.value.maybe_sent
    with pytest.raises(Unavailable) as refused:
        connection.publish(f"{network_id}.a", b"")
    assert not refused.value.maybe_sent
    await connection.close()
