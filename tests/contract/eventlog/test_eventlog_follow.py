from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.chassis.eventlog.port import Batch, EventLog
from tests.contract.eventlog.conftest import EVENT_LIMIT, SOON_S, Reader, Stage

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

ReadAlong = Callable[..., Reader]


async def filled(stage: Stage, count: int) -> EventLog:
    """Append so many events, their number as payload, in turn on four subjects."""
    log = await stage.log()
    await asyncio.gather(*(log.append(f"{stage.net}.swarm.{n % 4:02x}.t", b"%d" % n) for n in range(1, count + 1)))
    return log


def numbers(count: int, shards: set[int], after: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(after + 1, count + 1) if number % 4 in shards]


async def test_a_follower_from_zero_gets_everything_in_order(stage: Stage, read_along: ReadAlong) -> None:
    log = await filled(stage, 300)
    await stage.follower_allowed("f", [f"{stage.net}.>"])
    reader = read_along(log, "f", [f"{stage.net}.>"])
    assert await reader.payloads(300) == numbers(300, {0, 1, 2, 3})
    assert [event.sequence for event in reader.events] == list(range(1, 301))
    assert reader.batches[-1].pending == 0
    assert reader.position == 300


async def test_a_followed_event_is_the_event_that_was_stored(stage: Stage, read_along: ReadAlong) -> None:
    log = await filled(stage, 5)
    await stage.follower_allowed("f", [f"{stage.net}.swarm.*.t"])
    reader = read_along(log, "f", [f"{stage.net}.swarm.*.t"])
    await reader.payloads(5)
    assert reader.events == [await log.read(sequence) for sequence in range(1, 6)]


@pytest.mark.parametrize("after", [1, 150, 299, 300])
async def test_a_follower_starts_behind_its_position(stage: Stage, read_along: ReadAlong, after: int) -> None:
    log = await filled(stage, 300)
    await stage.follower_allowed("f", [f"{stage.net}.swarm.>"])
    reader = read_along(log, "f", [f"{stage.net}.swarm.>"], after=after)
    await log.append(f"{stage.net}.swarm.00.t", b"new")
    assert await reader.payloads(301 - after) == [*numbers(300, {0, 1, 2, 3}, after), b"new"]


async def test_several_filters_let_through_what_they_name_and_nothing_else(stage: Stage, read_along: ReadAlong) -> None:
    log = await filled(stage, 400)
    patterns = [f"{stage.net}.swarm.{shard:02x}.>" for shard in (1, 3, 77)]
    await stage.follower_allowed("f", patterns)
    reader = read_along(log, "f", patterns)
    assert await reader.payloads(200) == numbers(400, {1, 3})


async def test_a_follower_sees_what_is_appended_while_it_follows(stage: Stage, read_along: ReadAlong) -> None:
    log = await stage.log()
    await stage.follower_allowed("f", [f"{stage.net}.swarm.00.>"])
    reader = read_along(log, "f", [f"{stage.net}.swarm.00.>"])
    for number in range(1, 21):
        await log.append(f"{stage.net}.swarm.{number % 2:02x}.t", b"%d" % number)
    assert await reader.payloads(10) == [b"%d" % number for number in range(2, 21, 2)]


async def test_many_followers_see_the_same_order(stage: Stage, read_along: ReadAlong) -> None:
    writers = [await stage.log() for _ in range(3)]
    for name in ("f1", "f2"):
        await stage.follower_allowed(name, [f"{stage.net}.>"])
    readers = [read_along(await stage.log(), name, [f"{stage.net}.>"]) for name in ("f1", "f2")]
    await asyncio.gather(
        *(log.append(f"{stage.net}.{at}", b"%d-%d" % (at, n)) for n in range(100) for at, log in enumerate(writers))
    )
    one, other = [await reader.payloads(300) for reader in readers]
    assert one == other
    assert len(set(one)) == 300


async def test_the_position_moves_over_other_subjects_events(stage: Stage, read_along: ReadAlong) -> None:
    log = await stage.log()
    await stage.follower_allowed("f", [f"{stage.net}.mine"])
    reader = read_along(log, "f", [f"{stage.net}.mine"])
    await log.append(f"{stage.net}.mine", b"own")
    for _ in range(10):
        await log.append(f"{stage.net}.other", b"x")
    await reader.until(lambda reader: reader.position == 11)
    assert [event.payload for event in reader.events] == [b"own"]
    assert not reader.batches[-1].events
    assert reader.batches[-1].pending == 0


async def test_the_position_moves_even_if_no_event_was_ever_followed(stage: Stage, read_along: ReadAlong) -> None:
    log = await filled(stage, 10)
    await stage.follower_allowed("f", [f"{stage.net}.none"])
    reader = read_along(log, "f", [f"{stage.net}.none"])
    await reader.until(lambda reader: reader.position == 10)


async def test_holes_left_by_erased_and_expired_events_are_no_loss(stage: Stage, read_along: ReadAlong) -> None:
    log = await filled(stage, 40)
    expiring = await log.append(f"{stage.net}.swarm.00.t", b"short", ttl_s=1)
    await log.append(f"{stage.net}.swarm.00.t", b"41")
    for sequence in (1, 2, 17, 40):
        assert await log.erase(sequence)
    async with asyncio.timeout(SOON_S):
        while await log.read(expiring) is not None:
            await stage.pass_time(0.1)
    await stage.follower_allowed("f", [f"{stage.net}.>"])
    reader = read_along(log, "f", [f"{stage.net}.>"])
    payloads = await reader.payloads(37)
    assert payloads == [b"%d" % n for n in range(3, 42) if n not in {17, 40}]


async def test_pending_tells_how_many_wait_behind_a_batch(stage: Stage, read_along: ReadAlong) -> None:
    log = await stage.log()
    for _ in range(15):
        await asyncio.gather(*(log.append(f"{stage.net}.a", b"x") for _ in range(100)))
    await stage.follower_allowed("f", [f"{stage.net}.a"])
    reader = read_along(log, "f", [f"{stage.net}.a"])
    await reader.payloads(1500)
    assert reader.batches[0].pending == 1500 - len(reader.batches[0].events)
    assert reader.batches[-1].pending == 0


async def test_a_slow_reader_gets_all_large_events(stage: Stage) -> None:
    log = await stage.log()
    count = 1000
    for start in range(0, count, 100):
        await asyncio.gather(
            *(log.append(f"{stage.net}.a", b"%06d" % n + bytes(EVENT_LIMIT - 6)) for n in range(start, start + 100))
        )
    await stage.follower_allowed("f", [f"{stage.net}.a"])
    follower = log.follow("f", [f"{stage.net}.a"], after=0)
    seen: list[bytes] = []
    async with asyncio.timeout(SOON_S):
        async for batch in follower:
            await asyncio.sleep(0.01)  # the slowness that is tested
            seen += [event.payload[:6] for event in batch.events]
            if len(seen) == count:
                break
    await follower.close()
    assert seen == [b"%06d" % n for n in range(count)]


async def test_a_follower_may_go_on_where_another_ended(stage: Stage) -> None:
    log = await filled(stage, 50)
    await stage.follower_allowed("f", [f"{stage.net}.>"])
    first = log.follow("f", [f"{stage.net}.>"], after=0)
    batch = await anext(first)
    await first.close()
    second = log.follow("f", [f"{stage.net}.>"], after=20)
    again = await anext(second)
    await second.close()
    assert batch.events[0].sequence == 1
    assert again.events[0].sequence == 21


async def test_closing_ends_the_iteration(stage: Stage, read_along: ReadAlong) -> None:
    log = await stage.log()
    await stage.follower_allowed("f", [f"{stage.net}.>"])
    reader = read_along(log, "f", [f"{stage.net}.>"])
    await log.append(f"{stage.net}.a", b"x")
    await reader.payloads(1)
    async with asyncio.timeout(SOON_S):
        await log.close()
        await reader.close()


async def test_a_cancelled_wait_loses_nothing(stage: Stage) -> None:
    log = await stage.log()
    await stage.follower_allowed("f", [f"{stage.net}.>"])
    follower = log.follow("f", [f"{stage.net}.>"], after=0)
    seen: list[bytes] = []
    for number in range(5):
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        waiting.cancel()
        results = await asyncio.gather(waiting, return_exceptions=True)
        seen += [event.payload for batch in results if isinstance(batch, Batch) for event in batch.events]
        await log.append(f"{stage.net}.a", b"%d" % number)
    async with asyncio.timeout(SOON_S):
        while len(seen) < 5:
            seen += [event.payload for event in (await anext(follower)).events]
    await follower.close()
    assert seen == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    "patterns",
    [[], [""], ["a.>.b"], ["a b"], ["a.>", "a.b"], ["a.*", "a.b"], ["a.*.c", "a.b.*"], ["*", "a"], ["a", "a"]],
)
async def test_malformed_or_overlapping_patterns_are_refused_by_the_call(stage: Stage, patterns: list[str]) -> None:
    log = await stage.log()
    with pytest.raises(ValueError, match="pattern"):
        log.follow("f", patterns, after=0)
