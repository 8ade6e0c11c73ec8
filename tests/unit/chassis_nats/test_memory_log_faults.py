from __future__ import annotations

import asyncio

import pytest

from services.chassis.clock import ManualClock
from services.chassis.eventlog.memory import MemoryLog
from services.chassis.eventlog.memory_stream import MemoryStream
from services.chassis.eventlog.port import LogUnavailable


async def test_a_lost_acknowledgement_leaves_the_event_stored() -> None:
    stream = MemoryStream(ManualClock())
    log = MemoryLog(stream)
    stream.faults.lost_acknowledgements = 1
    with pytest.raises(LogUnavailable) as unsure:
        await log.append("a", b"1")
    assert unsure.value.maybe_stored
    assert await log.append("a", b"2") == 2
    assert await log.read(1) is not None


async def test_a_slow_log_answers_late_but_within_the_bound() -> None:
    stream = MemoryStream(ManualClock())
    log = MemoryLog(stream, append_timeout_s=5)
    stream.faults.delay_s = 0.05
    append = log.append("a", b"1")
    await asyncio.sleep(0)
    assert not append.done()
    assert stream.read(1) is not None, "stored before it is acknowledged"
    assert await append == 1


async def test_events_expire_when_the_clock_says_so_and_not_before() -> None:
    clock = ManualClock()
    log = MemoryLog(MemoryStream(clock))
    await log.append("a", b"1", ttl_s=10)
    await clock.advance(9.9)
    assert await log.read(1) is not None
    await clock.advance(0.2)
    assert await log.read(1) is None


async def test_an_older_copy_brings_back_what_was_erased_and_loses_what_came_since() -> None:
    stream = MemoryStream(ManualClock())
    log = MemoryLog(stream)
    for payload in (b"1", b"2"):
        await log.append("a", payload)
    copy = stream.copy()
    await log.erase(1)
    await log.append("b", b"3")
    stream.restore(copy)
    assert await log.read(1) is not None
    assert await log.last("b") is None
    assert await log.append("b", b"4", expected=0) == 3
