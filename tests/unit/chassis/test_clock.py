from __future__ import annotations

import asyncio
import time

from services.chassis.clock import Clock, ManualClock, SystemClock


async def test_the_system_clock_tells_the_time() -> None:
    clock: Clock = SystemClock()
    assert abs(clock.now_ms() - time.time() * 1000) < 1000
    before = clock.monotonic()
    await clock.sleep(0.001)
    assert clock.monotonic() > before


async def test_sleepers_wake_in_order_at_their_moments() -> None:
    clock = ManualClock(1000)
    woke: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append((name, clock.now_ms()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("c", 3), ("a", 1), ("b", 2), ("b too", 2)):
            group.create_task(sleeper(name, seconds))
        await clock.wait_for_sleepers(4)
        await clock.advance(0.999)
        assert woke == []
        await clock.advance(1.5)
        assert woke == [("a", 2000), ("b", 3000), ("b too", 3000)]
        await clock.advance(10)
    assert woke[-1] == ("c", 4000)
    assert clock.monotonic() == 12.499


async def test_who_sleeps_again_and_again_wakes_as_often_as_time_allows() -> None:
    clock = ManualClock()
    ticks: list[float] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(1)
            ticks.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.wait_for_sleepers()
    await clock.advance(5)
    assert ticks == [1, 2, 3, 4, 5]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.advance(5)
    assert len(ticks) == 5


async def test_no_time_at_all_is_no_sleep() -> None:
    await ManualClock().sleep(0)
    await ManualClock().sleep(-1)


async def test_the_wall_clock_may_jump_without_waking_anybody() -> None:
    clock = ManualClock(10_000)
    task = asyncio.create_task(clock.sleep(5))
    await clock.wait_for_sleepers()
    clock.jump(-4_000)
    assert (clock.now_ms(), clock.monotonic()) == (6_000, 0)
    clock.jump(100_000)
    assert not task.done()
    await clock.advance(5)
    assert task.done()
