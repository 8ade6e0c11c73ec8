"""Appends that find nobody: sent again for a while, and no longer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from operators.local.nats_server import NatsServer
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.port import LogUnavailable
from services.chassis.eventlog.provision import StreamPlan, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import RequestTimedOut
from services.chassis.nats.requests import Waiter

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

PATIENCE_S = 1.0


class Stream:
    """A stream that comes and goes."""

    def __init__(self, connection: NatsConnection, net: str) -> None:
        self.net = net
        self._connection = connection
        self._name = f"TEST_{net}"

    async def make(self) -> None:
        plan = StreamPlan(name=self._name, subjects=(f"{self.net}.>",), max_bytes=10**7, max_event_bytes=10**5)
        await ensure_stream(self._connection, plan)

    async def remove(self) -> None:
        await self._connection.request(f"$JS.API.STREAM.DELETE.{self._name}", b"")

    async def log(self) -> JetStreamLog:
        return await JetStreamLog.open(self._connection, self._name, append_timeout_s=PATIENCE_S)


@pytest.fixture
async def stream(nats_server: NatsServer, nats: NatsConnection, network_id: str) -> Stream:
    del nats_server
    made = Stream(nats, network_id)
    await made.make()
    return made


@pytest.mark.parametrize("count", [1, 300])
async def test_they_are_stored_once_when_somebody_comes(stream: Stream, count: int) -> None:
    log = await stream.log()
    await stream.remove()
    appends = [asyncio.ensure_future(log.append(f"{stream.net}.a", b"%d" % number)) for number in range(count)]
    await asyncio.sleep(PATIENCE_S / 4)
    assert not any(append.done() for append in appends)
    await stream.make()
    assert sorted(await asyncio.gather(*appends)) == list(range(1, count + 1))
    assert (await log.identity()).last_sequence == count
    assert log.in_flight == 0


@pytest.mark.parametrize("count", [1, 300])
async def test_when_nobody_comes_they_fail_within_their_bound(stream: Stream, count: int) -> None:
    log = await stream.log()
    await stream.remove()
    began = time.monotonic()
    results = await asyncio.gather(*(log.append(f"{stream.net}.a", b"x") for _ in range(count)), return_exceptions=True)
    assert PATIENCE_S / 4 < time.monotonic() - began < 2 * PATIENCE_S
    assert all(isinstance(result, LogUnavailable) and not result.maybe_stored for result in results)
    assert log.in_flight == 0
    assert not log._retries._events
    assert not log._retries._refused


async def test_whoever_no_longer_waits_is_not_sent_again(stream: Stream) -> None:
    log = await stream.log()
    await stream.remove()
    append = asyncio.ensure_future(log.append(f"{stream.net}.a", b"x"))
    await asyncio.sleep(PATIENCE_S / 10)
    append.cancel()
    await log.close()
    await stream.make()
    again = await stream.log()
    assert (await again.identity()).last_sequence == 0


class FirstGroup:
    """Keeps the commit of the first group from the server."""

    def __init__(self, connection: NatsConnection, monkeypatch: pytest.MonkeyPatch) -> None:
        self._send = connection.send_request
        self.lost: asyncio.Future[tuple[Waiter, asyncio.Future[Any]]] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(connection, "send_request", self.send_request)

    def send_request(
        self,
        subject: bytes,
        payload: bytes,
        waiter: Waiter,
        future: asyncio.Future[Any],
        *,
        headers: bytes | None = None,
        timeout_s: float | None = None,
    ) -> None:
        if b"Batch-Commit" in (headers or b"") and not self.lost.done():
            self.lost.set_result((waiter, future))
        else:
            self._send(subject, payload, waiter, future, headers=headers, timeout_s=timeout_s)


async def test_a_group_without_an_answer_holds_up_no_other(
    stream: Stream, nats: NatsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await JetStreamLog.open(nats, f"TEST_{stream.net}", append_timeout_s=30.0)
    group = FirstGroup(nats, monkeypatch)
    first = [log.append(f"{stream.net}.a", b"x") for _ in range(100)]
    waiter, future = await group.lost
    async with asyncio.timeout(5):
        await asyncio.gather(*(log.append(f"{stream.net}.b", b"x") for _ in range(300)))
        await asyncio.gather(*(log.append(f"{stream.net}.c", b"x") for _ in range(300)))
    waiter.fail(future, RequestTimedOut("late"))
    results = await asyncio.gather(*first, return_exceptions=True)
    unsure = [result for result in results if isinstance(result, LogUnavailable) and result.maybe_stored]
    assert len(unsure) > 50
    assert log.in_flight == 0


async def test_a_group_that_is_refused_for_the_moment_is_stored_event_by_event(
    stream: Stream, nats: NatsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await stream.log()
    group = FirstGroup(nats, monkeypatch)
    appends = [log.append(f"{stream.net}.a", b"x") for _ in range(100)]
    waiter, future = await group.lost
    waiter.answer(future, None, b'{"error":{"code":503,"err_code":10008,"description":"unavailable"}}')
    assert len(set(await asyncio.gather(*appends))) == 100
    assert log.in_flight == 0
