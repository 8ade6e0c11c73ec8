"""What the log may go through without a service noticing more than a pause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from services.chassis.eventlog.port import EventLog, LogUnavailable, WrongExpectedSequence
from tests.contract.eventlog.conftest import HASTY_S, SOON_S, Reader, Stage
from tests.contract.eventlog.steady_writer import SteadyWriter

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

ReadAlong = Callable[..., Reader]


@pytest.mark.parametrize("way", ["in order", "kill -9"])
async def test_a_restart_under_load_loses_nothing_acknowledged_and_followers_go_on(
    fragile_stage: Stage, read_along: ReadAlong, way: str
) -> None:
    stage = fragile_stage
    await stage.follower_allowed("f", [f"{stage.net}.swarm.>"])
    reader = read_along(await stage.log(), "f", [f"{stage.net}.swarm.>"])
    writer = SteadyWriter(await stage.log(), f"{stage.net}.swarm.00.t", at_once=32)
    for _ in range(3):
        await writer.until_acknowledged(200, within_s=SOON_S)
        await stage.go_away(hard=way == "kill -9")
        await stage.come_back()
    await writer.until_acknowledged(200, within_s=SOON_S)
    await writer.stop()
    last = max(writer.acknowledged)
    await reader.until(lambda reader: reader.position >= last)
    followed = {event.sequence: event.payload for event in reader.events}
    assert len(followed) == len(reader.events), "none twice"
    assert writer.acknowledged.items() <= followed.items(), "none acknowledged is missing"
    assert writer.acknowledged


async def test_while_the_log_is_away_appends_fail_at_once_and_nothing_piles_up(fragile_stage: Stage) -> None:
    stage = fragile_stage
    log = await stage.log()
    await log.append(f"{stage.net}.a", b"before")
    await stage.go_away()
    started = time.monotonic()
    results = await asyncio.gather(
        *(log.append(f"{stage.net}.a", bytes(10_000)) for _ in range(5000)), return_exceptions=True
    )
    assert time.monotonic() - started < SOON_S / 2, "at once, not after the bound of an append"
    assert all(isinstance(result, LogUnavailable) and not result.maybe_stored for result in results)
    for call in (log.read(1), log.last(f"{stage.net}.a"), log.first_since(0), log.identity(), log.erase(1)):
        with pytest.raises(LogUnavailable):
            await call
    await stage.come_back()
    assert await log.append(f"{stage.net}.a", b"after") == 2


async def test_an_append_whose_acknowledgement_is_late_is_repeated_safely(fragile_stage: Stage) -> None:
    stage = fragile_stage
    log, hasty = await stage.log(), await stage.log(append_timeout_s=HASTY_S)
    first = await log.append(f"{stage.net}.a", b"1")
    await stage.fall_silent()
    started = time.monotonic()
    with pytest.raises(LogUnavailable) as unsure:
        await hasty.append(f"{stage.net}.a", b"2", expected=first)
    assert unsure.value.maybe_stored
    assert time.monotonic() - started < SOON_S / 2
    await stage.speak_again()
    # Silence ends, and the log finds the first try and its repeat, in whatever order: exactly one of them may pass.
    try:
        sequence = await repeated(hasty, f"{stage.net}.a", b"2", first)
    except WrongExpectedSequence as stored:
        sequence = stored.actual
    event = await log.read(sequence)
    assert event is not None
    assert event.payload == b"2"
    assert (await hasty.identity()).last_sequence == sequence == 2


async def repeated(log: EventLog, subject: str, payload: bytes, expected: int) -> int:
    """Append until the log answers, one way or the other."""
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                return await log.append(subject, payload, expected=expected)
            except LogUnavailable:
                await asyncio.sleep(0.01)


async def test_a_silent_log_delays_followers_and_loses_them_nothing(
    fragile_stage: Stage, read_along: ReadAlong
) -> None:
    stage = fragile_stage
    await stage.follower_allowed("f", [f"{stage.net}.>"])
    reader = read_along(await stage.log(), "f", [f"{stage.net}.>"])
    writer = SteadyWriter(await stage.log(append_timeout_s=HASTY_S), f"{stage.net}.a", at_once=16)
    await writer.until_acknowledged(100, within_s=SOON_S)
    await stage.fall_silent()
    await asyncio.sleep(2 * HASTY_S)  # the silence itself
    await stage.speak_again()
    await writer.until_acknowledged(100, within_s=SOON_S)
    await writer.stop()
    await reader.until(lambda reader: reader.position >= max(writer.acknowledged))
    followed = {event.sequence: event.payload for event in reader.events}
    assert len(followed) == len(reader.events)
    assert writer.acknowledged.items() <= followed.items()
    assert writer.unavailable > 0, "the bound of an append was kept"


async def test_a_follower_waits_for_a_log_that_is_away(fragile_stage: Stage, read_along: ReadAlong) -> None:
    stage = fragile_stage
    log = await stage.log()
    await stage.follower_allowed("f", [f"{stage.net}.>"])
    await log.append(f"{stage.net}.a", b"1")
    await stage.go_away()
    reader = read_along(log, "f", [f"{stage.net}.>"])
    await asyncio.sleep(0.2)  # it must not end or raise meanwhile
    await stage.come_back()
    assert await reader.payloads(1) == [b"1"]


async def test_a_log_put_back_from_an_older_copy_gives_itself_away(fragile_stage: Stage, read_along: ReadAlong) -> None:
    stage = fragile_stage
    log = await stage.log()
    await stage.follower_allowed("f", [f"{stage.net}.>"])
    for number in range(1, 101):
        await log.append(f"{stage.net}.a", b"old %d" % number)
    await stage.keep_copy()
    for number in range(101, 201):
        await log.append(f"{stage.net}.a", b"lost %d" % number)
    reader = read_along(log, "f", [f"{stage.net}.>"])
    await reader.until(lambda reader: reader.position == 200)
    checkpoint, anchor = reader.events[-1], reader.events[49]
    before = await log.identity()

    await stage.put_copy_back()
    shorter = await log.identity()
    assert shorter.last_sequence == 100 < checkpoint.sequence, "sign: the log is shorter than the checkpoint"
    assert shorter.incarnation == before.incarnation, "a copy is the same incarnation: this is no sign"
    assert await log.read(checkpoint.sequence) is None

    for number in range(101, 251):
        await log.append(f"{stage.net}.b", b"new %d" % number)
    assert (await log.identity()).last_sequence == 250, "now it is longer than ever"
    at_checkpoint = await log.read(checkpoint.sequence)
    assert at_checkpoint is not None
    assert at_checkpoint != checkpoint, "sign: another event stands at the checkpoint"
    assert await log.read(anchor.sequence) == anchor, "an older anchor still holds"
    earlier = await log.first_since(checkpoint.time_ns)
    assert earlier is not None
    assert earlier.sequence < checkpoint.sequence, "sign: reading from the checkpoint's time answers lower sequences"

    await reader.until(lambda reader: reader.position == 250)
    assert [event.sequence for event in reader.events[200:]] == list(range(201, 251)), "followers alone do not notice"
