from __future__ import annotations

import asyncio

import pytest

from services.swarm.adapters.entrance import Entrance
from services.swarm.domain.admission import AdaptiveLimit, Places
from services.swarm.domain.ports import Refused


def entrance(most: int = 3, *, least: int | None = None, wait_s: float = 30.0) -> Entrance:
    return Entrance(AdaptiveLimit(least=least or most, most=most, patience_s=0.2), wait_s=wait_s)


def begin_all(places: Places) -> None:
    places.left = 0


def end(door: Entrance) -> None:
    door.done(None)
    door.leave()


async def in_line(door: Entrance, *sizes: int) -> list[asyncio.Task[Places]]:
    """Have requests wait, in this order."""
    tasks = []
    for size in sizes:
        before = door.waiting
        tasks.append(asyncio.ensure_future(door.enter(size)))
        await asyncio.sleep(0)
        assert door.waiting == before + 1
    return tasks


async def test_as_many_as_the_limit_come_in_and_the_others_follow_in_order() -> None:
    door = entrance(most=2)
    begin_all(await door.enter(1))
    begin_all(await door.enter(1))
    first, second = await in_line(door, 1, 1)
    end(door)
    assert (await first).left == 1
    assert not second.done()
    end(door)
    assert (await second).left == 1
    assert (door.under_way, door.in_flight, door.waiting, door.shed) == (2, 2, 0, 0)


async def test_nobody_overtakes_who_waits() -> None:
    door = entrance(most=4)
    begin_all(await door.enter(3))
    (batch,) = await in_line(door, 2)
    (single,) = await in_line(door, 1)
    end(door)
    assert (await batch).left == 2
    assert not single.done(), "its place is taken by the batch before it"
    single.cancel()


async def test_whoever_waits_too_long_is_refused_and_counted() -> None:
    door = entrance(most=1, wait_s=0.05)
    begin_all(await door.enter(1))
    outcomes = await asyncio.gather(door.enter(1), door.enter(20), return_exceptions=True)
    assert [(o.status, o.body) for o in outcomes if isinstance(o, Refused)] == [
        (503, "Server busy, try again later")
    ] * 2
    assert (door.shed, door.waiting, door.under_way, door.in_flight) == (21, 0, 1, 1)
    end(door)
    assert (await door.enter(1)).left == 1, "there is room again, and a timer left over harms nobody"


async def test_without_a_line_it_is_refused_at_once() -> None:
    door = entrance(most=1, wait_s=0)
    begin_all(await door.enter(1))
    with pytest.raises(Refused):
        await door.enter(1)
    assert (door.shed, door.under_way, door.waiting) == (1, 1, 0)


async def test_a_request_with_more_commands_than_the_bound_comes_in_alone() -> None:
    door = entrance(most=2)
    begin_all(await door.enter(1))
    (large,) = await in_line(door, 20)
    end(door)
    assert (await large).left == 20


async def test_waiting_for_members_takes_no_place_but_counts_for_the_bound() -> None:
    door = Entrance(AdaptiveLimit(least=1, most=2, patience_s=0.2), wait_s=30)
    assert door.limit == 1
    begin_all(await door.enter(1))
    door.done(None)  # and waits for a silent member
    begin_all(await door.enter(1))
    door.done(None)
    (third,) = await in_line(door, 1)
    assert (door.under_way, door.in_flight) == (0, 2)
    door.leave()
    assert (await third).left == 1


async def test_places_that_nobody_began_on_are_given_back() -> None:
    door = entrance(most=20)
    places = await door.enter(20)
    places.left -= 1
    (waiting,) = await in_line(door, 1)
    door.give_back(places)
    assert (await waiting).left == 1
    assert (door.under_way, door.in_flight) == (2, 2)
    door.give_back(places)
    assert door.under_way == 2, "they are given back once"


async def test_who_leaves_the_line_is_passed_over() -> None:
    door = entrance(most=1)
    begin_all(await door.enter(1))
    gone, stays = await in_line(door, 1, 1)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    end(door)
    assert (await stays).left == 1
    assert (door.under_way, door.shed) == (1, 0)


async def test_who_leaves_in_the_moment_of_being_called_takes_no_place_along() -> None:
    door = entrance(most=1)
    begin_all(await door.enter(1))
    gone, stays = await in_line(door, 1, 1)
    end(door)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert (await stays).left == 1
    assert (door.under_way, door.in_flight) == (1, 1)
